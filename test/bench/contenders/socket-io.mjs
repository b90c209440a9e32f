import { startServer } from './server-process.mjs';

export const socketIo = {
  name: 'Socket.IO',
  peer: 'socket.io',
  dialect: 'socket.io',
  echoes: true,
  start: (redisUrl, { folder }) => startServer(`${folder}/server.mjs`, [redisUrl]),
  target: ({ port }, dialogId) => ({
    port,
    path: `/socket.io/?EIO=4&transport=websocket&dialog=${dialogId}`,
    headers: { Origin: 'https://customer.example' },
  }),
};
