import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';

/** What came back on a raw upgrade request. */
export interface UpgradeAnswer {
  /** HTTP status, 101 for an accepted upgrade, 0 where the connection ended without an answer. */
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Body of a refusal, as far as it came. */
  readonly body: string;
  /** Of an accepted upgrade that was closed again. */
  readonly closeCode?: number;
  readonly closeReason?: string;
  /** Text frames before the close. */
  readonly frames: readonly string[];
  /** Whether the server closed the connection by itself. */
  readonly ended: boolean;
}

export interface UpgradeOptions {
  readonly localAddress?: string;
  /** How long an accepted or kept-open connection is watched for what follows. Default 30000. */
  readonly hangGuardMs?: number;
}

/** A value of null removes a default header, a list repeats the line. */
export type RawHeaders = Readonly<Record<string, string | readonly string[] | null>>;

function requestText(url: URL, headers: RawHeaders): string {
  const lines: Record<string, string | readonly string[] | null> = {
    Host: url.host,
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
  };
  for (const [name, value] of Object.entries(headers)) {
    const known = Object.keys(lines).find((other) => other.toLowerCase() === name.toLowerCase());
    lines[known ?? name] = value;
  }
  let text = `GET ${url.pathname}${url.search} HTTP/1.1\r\n`;
  for (const [name, value] of Object.entries(lines)) {
    for (const one of value === null ? [] : [value].flat()) text += `${name}: ${one}\r\n`;
  }
  return `${text}\r\n`;
}

interface Parsed {
  readonly frames: string[];
  readonly close?: { readonly code: number; readonly reason: string };
}

// Frames of a server are unmasked; the gateway does not fragment.
function parseFrames(bytes: Buffer): Parsed {
  const frames: string[] = [];
  let at = 0;
  while (bytes.length >= at + 2) {
    const opcode = bytes.readUInt8(at) & 0x0f;
    let length = bytes.readUInt8(at + 1) & 0x7f;
    let start = at + 2;
    if (length === 126) {
      if (bytes.length < start + 2) break;
      length = bytes.readUInt16BE(start);
      start += 2;
    } else if (length === 127) {
      if (bytes.length < start + 8) break;
      length = Number(bytes.readBigUInt64BE(start));
      start += 8;
    }
    if (bytes.length < start + length) break;
    const payload = bytes.subarray(start, start + length);
    if (opcode === 8) {
      const code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
      return { frames, close: { code, reason: payload.toString('utf8', 2) } };
    }
    if (opcode === 1) frames.push(payload.toString('utf8'));
    at = start + length;
  }
  return { frames };
}

/**
 * Sends an upgrade request byte for byte as given and reports the HTTP status, or the close code of an upgrade that
 * was accepted and closed. Returns as soon as the outcome is known: with a close frame, the end of the connection, a
 * complete refusal, or a first text frame other than `disconnect` (the connection then lives, and is dropped).
 */
export function upgradeStatus(
  url: string,
  headers: RawHeaders = {},
  options: UpgradeOptions = {},
): Promise<UpgradeAnswer> {
  const target = new URL(url.replace(/^ws/, 'http'));
  const { localAddress, hangGuardMs = 30_000 } = options;
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: target.hostname,
      port: Number(target.port || 80),
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    let received: Buffer = Buffer.alloc(0);
    let answered = false;
    const guard = setTimeout(() => done(false), hangGuardMs);
    const done = (ended: boolean): void => {
      if (answered) return;
      answered = true;
      clearTimeout(guard);
      socket.destroy();
      resolve(report(received, ended));
    };
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET' || error.code === 'EPIPE') return done(true);
      clearTimeout(guard);
      reject(error);
    });
    socket.on('end', () => done(true));
    socket.on('close', () => done(true));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (isOutcome(report(received, false))) done(false);
    });
    socket.write(requestText(target, headers));
  });
}

// A refusal that announces its end is watched until the end comes: announcing it is not closing.
function isOutcome({ status, closeCode, frames, headers, body }: UpgradeAnswer): boolean {
  const first = frames[0];
  if (status === 101) return closeCode !== undefined || (first !== undefined && !first.includes('"disconnect"'));
  if (status === 0 || headers['connection']?.toLowerCase() === 'close') return false;
  return Buffer.byteLength(body) >= Number(headers['content-length'] ?? Number.POSITIVE_INFINITY);
}

function report(received: Buffer, ended: boolean): UpgradeAnswer {
  const end = received.indexOf('\r\n\r\n');
  if (end === -1) return { status: 0, headers: {}, body: '', frames: [], ended };
  const [first = '', ...lines] = received.toString('latin1', 0, end).split('\r\n');
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const status = Number(first.split(' ')[1] ?? 0);
  const rest = received.subarray(end + 4);
  if (status !== 101) return { status, headers, body: rest.toString('utf8'), frames: [], ended };
  const { frames, close } = parseFrames(rest);
  const closing = close === undefined ? {} : { closeCode: close.code, closeReason: close.reason };
  return { status, headers, body: '', frames, ended, ...closing };
}
