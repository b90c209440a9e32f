import { expect, it } from 'vitest';
import { assertHeld, summaryOf } from './report.js';
import { runChaos } from './run.js';

const SEED = 20_250_711;
/** Above the sum of the guards within a run, so that the one that strikes says what it waited for. */
const HANG_GUARD_MS = 400_000;

it(
  'holds every promise through a dozen faults under load, with a Redis that loses nothing and once loses all',
  async () => {
    const outcome = await runChaos({
      seed: SEED,
      rounds: 12,
      dialogs: 5,
      kinds: [
        'node-kill',
        'node-stop',
        'node-restart',
        'redis-kill',
        'redis-stop',
        'redis-flush',
        'pubsub-kill',
        'net-blackhole',
        'net-one-way',
        'net-reset',
        'net-lost-reply',
        'client-half-open',
      ],
      log: (line) => console.log(line),
    });
    const [worst] = outcome.recoveries;
    console.log(
      [`seed ${SEED}`, ...summaryOf(outcome), `worst recovery: ${worst?.ms} ms after ${worst?.faults}`].join('\n'),
    );
    await assertHeld(outcome);
    expect(Object.keys(outcome.counts.faults).length).toBeGreaterThanOrEqual(12);
    expect(outcome.counts.acked).toBeGreaterThan(500);
  },
  HANG_GUARD_MS,
);
