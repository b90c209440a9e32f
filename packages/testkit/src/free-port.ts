import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { threadId } from 'node:worker_threads';

// Below the range from which Linux takes the ports of outgoing connections (32768 and up): a server that is down for a
// moment finds its port still free when it comes back.
const LOWEST = 15_000;
const HIGHEST = 32_000;
/** Test files run side by side: each takes its ports from another part of the range first. */
const BANDS = 8;
const BAND = Math.floor((HIGHEST - LOWEST) / BANDS);
const ATTEMPTS_IN_BAND = 100;
const ATTEMPTS = 300;

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

const given = new Set<number>();

/**
 * A port on 127.0.0.1 that nothing listened on a moment ago, each given out once in this process. Another process may still
 * take it first, so whoever binds it retries with a new one.
 */
export async function freePort(): Promise<number> {
  const start = LOWEST + ((process.pid + threadId) % BANDS) * BAND;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = attempt < ATTEMPTS_IN_BAND ? randomInt(start, start + BAND) : randomInt(LOWEST, HIGHEST);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`no free port between ${LOWEST} and ${HIGHEST} on 127.0.0.1`);
}
