import { createServer } from 'node:net';
import { CommandFailure } from '../commands/command.js';

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is taken',
  EADDRNOTAVAIL: 'the address is not of this machine',
  EACCES: 'the system does not permit it; ports below 1024 are for root, or need CAP_NET_BIND_SERVICE',
  ENOTFOUND: 'there is no such host name',
};

/** What to tell of a port that cannot be bound. */
export const bindFailure = (
  host: string,
  port: number,
  { code, message }: { readonly code?: string | undefined; readonly message: string },
): CommandFailure => new CommandFailure(`cannot listen on ${host}:${port}: ${REASONS[code ?? ''] ?? message}`);

/**
 * A port that nothing listens on, not even a process that would share it. Workers bind it together, so none of them would
 * notice a stranger. Rejects with `CommandFailure`.
 */
export const claimPort = (host: string, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => reject(bindFailure(host, port, error)));
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : port));
    });
  });
