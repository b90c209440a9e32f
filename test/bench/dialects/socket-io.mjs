import { findId } from './find-id.mjs';

const OPEN = 0x30;
const PING = 0x32;
const MESSAGE = 0x34;
const CONNECT = 0x30;

/** Engine.IO 4 over WebSocket: open, connect to the namespace, ready when it is confirmed; pings are answered. */
export const socketIo = {
  greet: () => {},
  hear: (wire, _target, bytes, start, _end, ready) => {
    const kind = bytes[start];
    if (kind === OPEN) wire.send('40');
    else if (kind === PING) wire.send('3');
    else if (kind === MESSAGE && bytes[start + 1] === CONNECT) ready();
  },
  encode: (_target, id, text) => `42["message",{"type":"message","id":"m${id}","text":"${text}"}]`,
  idOf: findId,
};
