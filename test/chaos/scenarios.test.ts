import { findRedis } from '@replyx/testkit';
import { it } from 'vitest';
import { assertHeld, summaryOf } from './report.js';
import { SCENARIOS } from './scenarios/index.js';

const SEED = 20_250_712;
/** Above the sum of the guards within a run, so that the one that strikes says what it waited for. */
const HANG_GUARD_MS = 400_000;

// Redis killed and Redis emptied are part of the seeded run.
const CLOSELY = [
  'node-kill',
  'rolling-restart',
  'silent-subscriber',
  'lost-reply',
  'one-way-cut',
  'stopped-node',
  'sentinel-failover',
];

const source = await findRedis();

it.each(CLOSELY)(
  'holds every promise in the scenario %s',
  async (name) => {
    // A sentinel is started from the executable.
    if (name === 'sentinel-failover' && source.kind !== 'executable') return;
    const outcome = await SCENARIOS[name]?.({ seed: SEED });
    if (outcome === undefined) throw new Error(`${name} is no scenario`);
    console.log([name, ...outcome.measures, ...summaryOf(outcome)].join('\n'));
    await assertHeld(outcome);
  },
  HANG_GUARD_MS,
);
