import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** Passes a node's traffic with Redis on and counts what of it names `marker`. */
export const startTap = async (redisPort, marker) => {
  const counts = { downBytes: 0, upBytes: 0, markedDownBytes: 0, markedUpChunks: 0 };
  const sockets = new Set();
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ host: '127.0.0.1', port: redisPort, noDelay: true });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (chunk) => {
      counts.upBytes += chunk.length;
      if (chunk.includes(marker)) counts.markedUpChunks += 1;
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      counts.downBytes += chunk.length;
      if (chunk.includes(marker)) counts.markedDownBytes += chunk.length;
      client.write(chunk);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `redis://127.0.0.1:${server.address().port}`,
    counts,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
};
