import type { ChatClient } from '../chat-client.js';
import { nodeAt, play, type ScenarioOptions, type ScenarioOutcome, since, sleep } from './scenario.js';

const FLOOD_BYTES = 66_000_000;
const TEXT = 'z'.repeat(9_900);

/** Sends until so many bytes have been taken, no faster than they are acknowledged. */
const flood = async (client: ChatClient, bytes: number): Promise<number> => {
  let sent = 0;
  while (sent * TEXT.length < bytes) {
    if (client.send(TEXT)) sent += 1;
    else await sleep(1);
  }
  return sent;
};

/**
 * A node is stopped while more passes its dialog than Redis keeps for a subscriber, and goes on: each of its clients gets all of
 * it, in order, on that node or on another one.
 */
export const stoppedNode = (options: ScenarioOptions): Promise<ScenarioOutcome> =>
  play(
    options,
    {
      dialogs: 1,
      clientsPerDialog: 5,
      perSecond: 5,
      pinned: true,
      // Its clients stay with the node for as long as it is stopped.
      silenceMs: 180_000,
      cluster: { redis: {} },
    },
    async (stage, { measure }) => {
      const [first, , third] = stage.clients;
      if (first === undefined || third === undefined) throw new Error('there are clients');
      const { process } = nodeAt(stage, 1);
      await stage.flowed(5);
      stage.load.quiet();
      await stage.during('node-stop', async () => {
        process.pause();
        const started = performance.now();
        const counts = await Promise.all([first, third].map((client) => flood(client, FLOOD_BYTES / 2)));
        const messages = counts.reduce((sum, count) => sum + count, 0);
        measure(`${messages} messages of ${TEXT.length} bytes passed the stopped node in ${since(started)} ms`);
        process.resume();
      });
      const started = performance.now();
      await stage.whole();
      measure(`every client had all of it ${since(started)} ms after the node went on`);
    },
  );
