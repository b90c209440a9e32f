import { expect, it } from 'vitest';
import type { FaultKind } from './plan.js';
import { assertHeld, summaryOf } from './report.js';
import { runChaos } from './run.js';

const KINDS: readonly FaultKind[] = [
  'node-kill',
  'node-stop',
  'node-restart',
  'redis-kill',
  'redis-flush',
  'pubsub-kill',
  'net-blackhole',
  'net-lost-reply',
  'webhook-broken',
];
/** With short holds, each still beyond the deadline that it is to pass. */
const SEED = 20_250_788;
/** Above the sum of the guards within a run, so that the one that strikes says what it waited for. */
const HANG_GUARD_MS = 400_000;

it(
  'holds every promise through faults under load, with a Redis that loses nothing and once loses all',
  async () => {
    const outcome = await runChaos({
      seed: SEED,
      rounds: KINDS.length,
      dialogs: 5,
      kinds: KINDS,
      log: (line) => console.log(line),
    });
    const [worst] = outcome.recoveries;
    console.log(
      [`seed ${SEED}`, ...summaryOf(outcome), `worst recovery: ${worst?.ms} ms after ${worst?.faults}`].join('\n'),
    );
    await assertHeld(outcome);
    const { faults, acked, cast } = outcome.counts;
    expect(Object.keys(faults)).toEqual(expect.arrayContaining([...KINDS]));
    expect(acked).toBeGreaterThan(300);
    // There was something to judge of everybody.
    const did = ['streams finished', 'handoffs done', 'locks', 'deliveries taken', 'revocations'];
    expect(Object.keys(cast)).toEqual(expect.arrayContaining(did));
  },
  HANG_GUARD_MS,
);
