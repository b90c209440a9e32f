import { connect } from 'node:net';

/** What Redis answers: bulk and simple strings, integers, null, and lists of these. */
export type RespValue = string | number | null | RespValue[];

/** An error reply of Redis, such as `MOVED` or `NOAUTH`; the message is Redis' own. */
export class RespError extends Error {
  override readonly name = 'RespError';
}

export interface RespTarget {
  readonly host: string;
  readonly port: number;
  readonly password?: string | undefined;
  /** Deadline of the whole call, connecting included. Default 10000. */
  readonly timeoutMs?: number | undefined;
}

type Parsed = { value: RespValue | RespError; next: number } | undefined;

// RESP2, the protocol that a connection without HELLO speaks. Gives undefined while the reply is incomplete.
function parse(bytes: Buffer, at: number): Parsed {
  const end = bytes.indexOf('\r\n', at);
  if (end === -1) return undefined;
  const line = bytes.toString('utf8', at + 1, end);
  const next = end + 2;
  switch (bytes[at]) {
    case 0x2b: // +
      return { value: line, next };
    case 0x2d: // -
      return { value: new RespError(line), next };
    case 0x3a: // :
      return { value: Number(line), next };
    case 0x24: {
      // $
      const length = Number(line);
      if (length < 0) return { value: null, next };
      if (bytes.length < next + length + 2) return undefined;
      return { value: bytes.toString('utf8', next, next + length), next: next + length + 2 };
    }
    case 0x2a: {
      // *
      const count = Number(line);
      if (count < 0) return { value: null, next };
      const list: RespValue[] = [];
      let from = next;
      for (let index = 0; index < count; index++) {
        const item = parse(bytes, from);
        if (item === undefined) return undefined;
        list.push(item.value instanceof RespError ? item.value.message : item.value);
        from = item.next;
      }
      return { value: list, next: from };
    }
    default:
      throw new Error(`not a Redis reply: ${bytes.toString('utf8', at, at + 40)}`);
  }
}

function encode(args: readonly (string | number | Uint8Array)[]): Buffer {
  const parts: Buffer[] = [Buffer.from(`*${args.length}\r\n`)];
  for (const arg of args) {
    const bytes = typeof arg === 'object' ? Buffer.from(arg) : Buffer.from(String(arg));
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
  }
  return Buffer.concat(parts);
}

/**
 * One command on a connection of its own: it neither shares state with other calls nor survives a restart of the
 * server. Rejects with RespError for an error reply, with an Error for a lost connection or a missed deadline.
 */
export function respCall(target: RespTarget, ...args: (string | number | Uint8Array)[]): Promise<RespValue> {
  const { host, port, password, timeoutMs = 10_000 } = target;
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    // Every reply before the last belongs to AUTH.
    let expected = password === undefined ? 1 : 2;
    let received: Buffer = Buffer.alloc(0);
    const finish = (act: () => void): void => {
      clearTimeout(deadline);
      socket.destroy();
      act();
    };
    const fail = (why: string): void =>
      finish(() => reject(new Error(`redis ${host}:${port} ${String(args[0])}: ${why}`)));
    const deadline = setTimeout(() => fail(`no answer in ${timeoutMs} ms`), timeoutMs);
    socket.on('error', (error) => fail(error.message));
    socket.on('close', () => fail('connection closed'));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      for (;;) {
        const reply = parse(received, 0);
        if (reply === undefined) return;
        received = received.subarray(reply.next);
        const { value } = reply;
        if (value instanceof RespError) return finish(() => reject(value));
        if (--expected === 0) return finish(() => resolve(value));
      }
    });
    if (password !== undefined) socket.write(encode(['AUTH', password]));
    socket.write(encode(args));
  });
}
