// The yardstick: uWebSockets.js and ioredis doing the same fan-out and nothing else. No token, order, history, limit or ack. With a
// number as second argument it answers 429 to every upgrade from 127.<number>.0.0/16, again with nothing else.
import { createRequire } from 'node:module';
import { Redis } from 'ioredis';

const uws = createRequire(new URL('../../../packages/gateway/package.json', import.meta.url))('uWebSockets.js');
const [url, refused] = process.argv.slice(2);
const refusedSecond = refused === undefined ? undefined : Number(refused);
const data = new Redis(url);
const subscriber = new Redis(url);
const dialogs = new Map();

subscriber.on('messageBuffer', (channel, payload) => {
  for (const socket of dialogs.get(channel.toString()) ?? []) socket.send(payload, false, false);
});

const isRefused = (res) => refusedSecond !== undefined && new Uint8Array(res.getRemoteAddress())[1] === refusedSecond;

const app = uws.App();
app.ws('/ws/site/dialogs/:id', {
  idleTimeout: 120,
  maxPayloadLength: 131_072,
  // Room for a slow reader, as ours has: a dropped send would be a cheap one.
  maxBackpressure: 1_310_720,
  upgrade: (res, req, context) => {
    if (isRefused(res)) {
      res.cork(() => {
        res.writeStatus('429 Too Many Requests').writeHeader('Connection', 'close').end('', true);
      });
      return;
    }
    res.upgrade(
      { channel: `bare:${req.getParameter(0)}` },
      req.getHeader('sec-websocket-key'),
      '',
      req.getHeader('sec-websocket-extensions'),
      context,
    );
  },
  open: (socket) => {
    const { channel } = socket.getUserData();
    const sockets = dialogs.get(channel);
    if (sockets !== undefined) {
      sockets.add(socket);
      return;
    }
    dialogs.set(channel, new Set([socket]));
    subscriber.subscribe(channel);
  },
  message: (socket, message) => {
    data.publish(socket.getUserData().channel, Buffer.from(message.slice(0)));
  },
  close: (socket) => {
    const { channel } = socket.getUserData();
    const sockets = dialogs.get(channel);
    sockets?.delete(socket);
    if (sockets?.size === 0) {
      dialogs.delete(channel);
      subscriber.unsubscribe(channel);
    }
  },
});
app.listen('127.0.0.1', 0, (socket) => {
  console.log(JSON.stringify({ port: uws.us_socket_local_port(socket) }));
});
