import { play, type ScenarioOptions, type ScenarioOutcome, since, sleep } from './scenario.js';

const AWAY_MS = 60_000;
const BROKEN_MS = 15_000;

/**
 * The webhook's receiver is away, then dies in the middle, answers 500 or comes late: nothing that was acknowledged to a visitor
 * fails to come, in order.
 */
export const webhookAway = (options: ScenarioOptions): Promise<ScenarioOutcome> =>
  play(options, { cast: true, perSecond: 40, settleGuardMs: 300_000 }, async (stage, { measure }) => {
    const { webhook } = stage.cast ?? {};
    if (webhook === undefined) throw new Error('there is a webhook');
    await stage.flowed(50);
    await stage.during('webhook-down', async () => {
      await webhook.down();
      await sleep(options.holdMs ?? AWAY_MS);
      await webhook.up();
    });
    const delivered = stage.journal.count('delivered');
    await stage.during('webhook-broken', async () => {
      webhook.break();
      await sleep(Math.min(options.holdMs ?? BROKEN_MS, BROKEN_MS));
      webhook.mend();
    });
    measure(`${stage.journal.count('delivered') - delivered} deliveries at a receiver that is broken`);
    const started = performance.now();
    stage.load.quiet();
    stage.cast?.quiet();
    await webhook.sound();
    await stage.whole();
    measure(`every message was with the receiver ${since(started)} ms after the trouble`);
  });
