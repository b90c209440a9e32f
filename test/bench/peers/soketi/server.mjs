// Soketi as its pages on scaling say: the Redis adapter, one application, client messages on. It takes its whole configuration from
// options; its own lines of output are not wanted here.
import { createRequire } from 'node:module';
import { createServer } from 'node:net';

// It loads a driver of a database that is not used here and that announces its own end.
process.env.AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE = '1';

const require = createRequire(import.meta.url);
const { Server } = require('@soketi/soketi/dist/server');
const [url, key, secret] = process.argv.slice(2);
const redis = new URL(url);
const write = process.stdout.write.bind(process.stdout);
process.stdout.write = () => true;

// It listens where it is told to and says nothing of port 0.
const freePort = () =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });

const port = await freePort();
const app = {
  id: 'bench',
  key,
  secret,
  maxConnections: -1,
  enableClientMessages: true,
  enabled: true,
  maxBackendEventsPerSecond: -1,
  maxClientEventsPerSecond: -1,
  maxReadRequestsPerSecond: -1,
  webhooks: [],
};
await Server.start(
  {
    host: '127.0.0.1',
    port,
    'adapter.driver': 'redis',
    'appManager.driver': 'array',
    'appManager.array.apps': [app],
    'database.redis.host': redis.hostname,
    'database.redis.port': Number(redis.port),
    'metrics.host': '127.0.0.1',
    'metrics.port': await freePort(),
    'metrics.enabled': false,
  },
  () => {
    write(`${JSON.stringify({ port })}\n`);
  },
);
