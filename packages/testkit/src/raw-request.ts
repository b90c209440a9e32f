import { connect } from 'node:net';

/** What came back on a request that was sent byte for byte. */
export interface RawAnswer {
  /** 0 where the connection ended without an answer. */
  readonly status: number;
  /** Names in lower case; repeated ones joined by a comma. */
  readonly headers: Readonly<Record<string, string>>;
  /** As far as it came; chunks are left as they are. */
  readonly body: string;
  /** Whether the server closed the connection by itself. */
  readonly ended: boolean;
}

export interface RawRequest {
  readonly method?: string;
  /** Sent as they are, in UTF-8; a list repeats the line. `Host` and `Content-Length` are added where they are absent. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string;
  readonly localAddress?: string;
  /** Default 30000. */
  readonly hangGuardMs?: number;
}

const textOf = (url: URL, { method = 'GET', headers = {}, body = '' }: RawRequest): string => {
  const lines: Record<string, string | readonly string[]> = {
    Host: url.host,
    ...(body === '' ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }),
    ...headers,
  };
  const text = Object.entries(lines).flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}\r\n`));
  return `${method} ${url.pathname}${url.search} HTTP/1.1\r\n${text.join('')}\r\n${body}`;
};

const parse = (received: Buffer, ended: boolean): RawAnswer => {
  const end = received.indexOf('\r\n\r\n');
  if (end === -1) return { status: 0, headers: {}, body: '', ended };
  const [first = '', ...lines] = received.toString('utf8', 0, end).split('\r\n');
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
  }
  return { status: Number(first.split(' ')[1] ?? 0), headers, body: received.toString('utf8', end + 4), ended };
};

/** A refusal that announces its end is watched until the end comes; of a stream the head is all that is waited for. */
const isWhole = ({ status, headers, body }: RawAnswer): boolean => {
  if (status === 0 || headers['connection']?.toLowerCase() === 'close') return false;
  return Buffer.byteLength(body) >= Number(headers['content-length'] ?? 0);
};

/** Sends a request with headers that no HTTP client would send, and resolves as soon as its answer is whole. */
export const rawRequest = (url: string, request: RawRequest = {}): Promise<RawAnswer> => {
  const target = new URL(url);
  const { localAddress, hangGuardMs = 30_000 } = request;
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: target.hostname,
      port: Number(target.port || 80),
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    let received: Buffer = Buffer.alloc(0);
    const guard = setTimeout(() => done(false), hangGuardMs);
    const done = (ended: boolean): void => {
      clearTimeout(guard);
      socket.destroy();
      resolve(parse(received, ended));
    };
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET' || error.code === 'EPIPE') return done(true);
      clearTimeout(guard);
      reject(error);
    });
    socket.on('close', () => done(true));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (isWhole(parse(received, false))) done(false);
    });
    socket.write(textOf(target, request));
  });
};
