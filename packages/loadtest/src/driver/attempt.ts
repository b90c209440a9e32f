import { createHash, randomBytes } from 'node:crypto';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX } from '@replyx/protocol';

export interface AttemptTarget {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  readonly insecure: boolean;
  readonly localAddress: string | undefined;
}

export interface UpgradeHeaders {
  readonly host: string;
  readonly path: string;
  readonly origin: string;
  readonly token: string;
}

const KEY = createHash('md5').update('replyx-load').digest('base64');
const DEADLINE_MS = 10_000;
const MAX_BYTES = 8_192;
const TEXT = 1;
const CLOSE = 8;

export const upgradeRequest = ({ host, path, origin, token }: UpgradeHeaders): string =>
  [
    `GET ${path} HTTP/1.1`,
    `Host: ${host}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${KEY}`,
    `Origin: ${origin}`,
    `Sec-WebSocket-Protocol: ${SUBPROTOCOL}, ${TOKEN_SUBPROTOCOL_PREFIX}${token}`,
    '\r\n',
  ].join('\r\n');

export const garbage = (): Buffer => Buffer.concat([randomBytes(200), Buffer.from('\r\n\r\n')]);

/**
 * What the bytes of a server say so far of an attempt: `http 429`, `close 4002`, `admitted`, or undefined while it is open. Frames are
 * read only as far as a refusal goes: short ones, unmasked.
 */
export const outcomeOf = (bytes: Buffer): string | undefined => {
  const status = /^HTTP\/1\.1 (\d{3})/.exec(bytes.toString('latin1', 0, 16))?.[1];
  if (status === undefined) return bytes.length > 16 ? 'not http' : undefined;
  if (status !== '101') return `http ${status}`;
  let at = bytes.indexOf('\r\n\r\n') + 4;
  if (at < 4) return undefined;
  while (bytes.length >= at + 2) {
    const opcode = (bytes[at] as number) & 0x0f;
    const short = (bytes[at + 1] as number) & 0x7f;
    if (short === 127) return 'too long';
    if (short === 126 && bytes.length < at + 4) return undefined;
    const start = short === 126 ? at + 4 : at + 2;
    const length = short === 126 ? bytes.readUInt16BE(at + 2) : short;
    if (bytes.length < start + length) return undefined;
    if (opcode === CLOSE) return `close ${length < 2 ? 1005 : bytes.readUInt16BE(start)}`;
    if (opcode === TEXT && bytes.includes('"type":"connected"', start)) return 'admitted';
    at = start + length;
  }
  return undefined;
};

/** Connects, sends the bytes, and tells once how it ended; over a plain socket, so that an attempt costs the driver little. */
export const attempt = (target: AttemptTarget, bytes: string | Buffer, onOutcome: (outcome: string) => void): void => {
  const { host, port, secure, insecure, localAddress } = target;
  const options = { host, port, ...(localAddress === undefined ? {} : { localAddress }) };
  const socket: Socket = secure
    ? connectTls({ ...options, servername: host, rejectUnauthorized: !insecure })
    : connectTcp(options);
  let received: Buffer = Buffer.alloc(0);
  let told = false;
  const tell = (outcome: string): void => {
    if (told) return;
    told = true;
    socket.destroy();
    onOutcome(outcome);
  };
  socket.setNoDelay(true);
  socket.setTimeout(DEADLINE_MS, () => tell('no answer'));
  socket.on(secure ? 'secureConnect' : 'connect', () => socket.write(bytes));
  socket.on('data', (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    const outcome = outcomeOf(received) ?? (received.length > MAX_BYTES ? 'not http' : undefined);
    if (outcome !== undefined) tell(outcome);
  });
  socket.on('error', (error: NodeJS.ErrnoException) =>
    tell(error.code === 'ECONNRESET' || error.code === 'EPIPE' ? 'cut' : (error.code ?? 'error')),
  );
  socket.on('close', () => tell('cut'));
};
