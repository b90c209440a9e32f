import { createHmac } from 'node:crypto';
import { findId } from './find-id.mjs';

const ESTABLISHED = 'pusher:connection_established';
const SUBSCRIBED = 'pusher_internal:subscription_succeeded';
const KEEP_ALIVE_MS = 30_000;

const channelOf = ({ dialogId }) => `private-${dialogId}`;

/** The Pusher protocol: one private channel a dialog, signed as a backend would; messages are client events. */
export const pusher = {
  greet: (wire) => {
    setInterval(() => wire.send('{"event":"pusher:ping","data":{}}'), KEEP_ALIVE_MS).unref();
  },
  hear: (wire, target, bytes, start, end, ready) => {
    const text = bytes.utf8Slice(start, end);
    if (text.includes(ESTABLISHED)) {
      const { socket_id: socketId } = JSON.parse(JSON.parse(text).data);
      const channel = channelOf(target);
      const signature = createHmac('sha256', target.secret).update(`${socketId}:${channel}`).digest('hex');
      const data = { channel, auth: `${target.key}:${signature}` };
      wire.send(JSON.stringify({ event: 'pusher:subscribe', data }));
    } else if (text.includes(SUBSCRIBED)) ready();
  },
  encode: (target, id, text) =>
    `{"event":"client-message","channel":"${channelOf(target)}","data":{"type":"message","id":"m${id}","text":"${text}"}}`,
  idOf: findId,
};
