import { startServer } from './server-process.mjs';

const KEY = 'bench-key';
const SECRET = 'bench-secret';

export const soketi = {
  name: 'Soketi',
  peer: 'soketi',
  dialect: 'pusher',
  /** A client event goes to everybody but its sender: a socket that only publishes stands in. */
  echoes: false,
  start: (redisUrl, { folder }) => startServer(`${folder}/server.mjs`, [redisUrl, KEY, SECRET]),
  target: ({ port }) => ({
    port,
    path: `/app/${KEY}?protocol=7&client=bench&version=1`,
    headers: { Origin: 'https://customer.example' },
    key: KEY,
    secret: SECRET,
  }),
};
