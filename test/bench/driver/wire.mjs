// A WebSocket client that costs as little as a Node socket can: what is measured is the server. Its mask is all zeros, which the
// protocol allows and which spares the client, not the server, the work.
import { connect } from 'node:net';

const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const NOTHING = Buffer.alloc(0);
const HANDSHAKE_MS = 30_000;

const frameOf = (opcode, payload) => {
  const length = payload.length;
  const head = length < 126 ? 6 : length < 65_536 ? 8 : 14;
  const frame = Buffer.alloc(head + length);
  frame[0] = 0x80 | opcode;
  if (head === 6) frame[1] = 0x80 | length;
  else if (head === 8) {
    frame[1] = 0x80 | 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 0x80 | 127;
    frame.writeUInt32BE(length, 6);
  }
  if (typeof payload === 'string') frame.latin1Write(payload, head);
  else payload.copy(frame, head);
  return frame;
};

/** What a connection is opened with; the same bytes for everybody but for the path and the extra lines. */
export const upgradeText = ({ port, path, headers = {} }) =>
  [
    `GET ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    '\r\n',
  ].join('\r\n');

export class Wire {
  /** Called with the buffer and the bounds of each text frame; the buffer is not kept. */
  onText = () => {};
  /** Called once, with the code of the close frame or 1006. */
  onClose = () => {};
  #socket;
  #rest = NOTHING;
  #code = 1006;

  constructor(socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
  }

  /** Resolves when the upgrade is accepted; rejects with the status line otherwise. `onOpen` runs before the first frame is read. */
  static open(target, onOpen) {
    const socket = connect({ host: '127.0.0.1', port: target.port, localAddress: target.localAddress });
    const wire = new Wire(socket);
    return new Promise((resolve, reject) => {
      let head = NOTHING;
      socket.setTimeout(HANDSHAKE_MS, () => socket.destroy(new Error(`no answer from port ${target.port}`)));
      socket.on('error', reject);
      socket.once('connect', () => socket.write(upgradeText(target)));
      const onHead = (chunk) => {
        head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
        const end = head.indexOf('\r\n\r\n');
        if (end === -1) return;
        socket.off('data', onHead);
        const line = head.latin1Slice(0, head.indexOf('\r\n'));
        if (!line.startsWith('HTTP/1.1 101')) {
          socket.destroy();
          reject(new Error(line));
          return;
        }
        socket.setTimeout(0);
        onOpen(wire);
        socket.on('data', (bytes) => wire.#read(bytes));
        resolve(wire);
        if (head.length > end + 4) wire.#read(head.subarray(end + 4));
      };
      socket.on('data', onHead);
      socket.once('close', () => {
        reject(new Error(`port ${target.port} hung up`));
        wire.onClose(wire.#code);
      });
    });
  }

  send(text) {
    this.#socket.write(frameOf(TEXT, text));
  }

  /** Without a word, as when a network goes. */
  drop() {
    this.onClose = () => {};
    this.#socket.resetAndDestroy();
  }

  #read(chunk) {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (bytes.length - at >= 2) {
      let length = bytes[at + 1] & 0x7f;
      let start = at + 2;
      if (length === 126) {
        if (bytes.length - at < 4) break;
        length = bytes.readUInt16BE(at + 2);
        start = at + 4;
      } else if (length === 127) {
        if (bytes.length - at < 10) break;
        length = Number(bytes.readBigUInt64BE(at + 2));
        start = at + 10;
      }
      if (bytes.length < start + length) break;
      this.#take(bytes[at] & 0x0f, bytes, start, start + length);
      at = start + length;
    }
    this.#rest = at === bytes.length ? NOTHING : Buffer.from(bytes.subarray(at));
  }

  #take(opcode, bytes, start, end) {
    if (opcode === TEXT || opcode === 2) this.onText(bytes, start, end);
    else if (opcode === PING) this.#socket.write(frameOf(PONG, bytes.subarray(start, end)));
    else if (opcode === CLOSE) {
      this.#code = end - start >= 2 ? bytes.readUInt16BE(start) : 1005;
      this.#socket.end(frameOf(CLOSE, bytes.subarray(start, Math.min(end, start + 2))));
    }
  }
}
