import { findId } from './find-id.mjs';

const CONNECTED = Buffer.from('{"type":"connected"');
const MESSAGE = Buffer.from('{"type":"message"');

const startsWith = (bytes, start, end, prefix) =>
  end - start >= prefix.length && bytes.compare(prefix, 0, prefix.length, start, start + prefix.length) === 0;

/** Ready with `connected`; acks, presence and the rest are read and passed over. */
export const replyx = {
  greet: () => {},
  hear: (wire, target, bytes, start, end, ready) => {
    if (!startsWith(bytes, start, end, CONNECTED)) return;
    if (target.keepsPosition) wire.connected = JSON.parse(bytes.utf8Slice(start, end));
    ready();
  },
  encode: (_target, id, text) => `{"type":"message","id":"m${id}","text":"${text}"}`,
  idOf: (bytes, start, end) => (startsWith(bytes, start, end, MESSAGE) ? findId(bytes, start, end) : -1),
};
