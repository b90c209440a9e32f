// Socket.IO as its pages on performance and scaling say: the native parts of `ws`, no upgrade from polling, the first request let go,
// the Redis adapter with its own response channels. A socket joins the room of its dialog and its messages go to the room.
import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-adapter';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';

const [url] = process.argv.slice(2);
const publisher = new Redis(url);
const subscriber = publisher.duplicate();
const server = createServer();
const io = new Server(server, {
  transports: ['websocket'],
  serveClient: false,
  adapter: createAdapter(publisher, subscriber, { publishOnSpecificResponseChannel: true }),
});

io.engine.on('connection', (rawSocket) => {
  // What is needed of the request is taken first: without it a socket's handshake is empty.
  rawSocket.dialog = rawSocket.request._query.dialog;
  rawSocket.request = null;
});
io.on('connection', (socket) => {
  const { dialog } = socket.conn;
  socket.join(dialog);
  socket.on('message', (frame) => {
    io.to(dialog).emit('message', frame);
  });
});
server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ port: server.address().port }));
});
