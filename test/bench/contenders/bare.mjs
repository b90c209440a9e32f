import { fileURLToPath } from 'node:url';
import { startServer } from './server-process.mjs';

const SCRIPT = fileURLToPath(new URL('bare-server.mjs', import.meta.url));

export const bare = {
  name: 'bare',
  dialect: 'bare',
  /** A publisher's own socket gets its message too. */
  echoes: true,
  /** `refusedSecond`: upgrades from 127.<it>.0.0/16 are answered 429. */
  start: (redisUrl, { refusedSecond } = {}) =>
    startServer(SCRIPT, refusedSecond === undefined ? [redisUrl] : [redisUrl, String(refusedSecond)]),
  target: ({ port }, dialogId) => ({
    port,
    path: `/ws/site/dialogs/${dialogId}`,
    headers: { Origin: 'https://customer.example' },
  }),
};
