import { type TemplatedApp, type us_listen_socket, uws } from './module.js';

export class PortTaken extends Error {
  override readonly name = 'PortTaken';
}

type ListenExclusively = (
  host: string,
  port: number,
  options: number,
  done: (socket: us_listen_socket | false) => void,
) => void;

/** The module's default: `SO_REUSEPORT`, for which it exports no name. */
const SHARED = 0;

export interface Listening {
  readonly port: number;
  /** Stops taking connections; those that are open stay. Safe to call twice. */
  close(): void;
}

/**
 * Binds exclusively: without it a second process on the port would silently take half of the connections. Workers of one port
 * share it.
 */
export const listen = (app: TemplatedApp, host: string, port: number, isShared = false): Promise<Listening> =>
  new Promise((resolve, reject) => {
    const options = isShared ? SHARED : uws.LIBUS_LISTEN_EXCLUSIVE_PORT;
    // The declarations leave out the form with both a host and options.
    (app.listen as unknown as ListenExclusively).call(app, host, port, options, (socket) => {
      if (socket === false) {
        reject(
          new PortTaken(`cannot listen on ${host}:${port}: the port is taken or the address is not of this machine`),
        );
        return;
      }
      let open = true;
      resolve({
        port: uws.us_socket_local_port(socket),
        close: () => {
          if (open) uws.us_listen_socket_close(socket);
          open = false;
        },
      });
    });
  });
