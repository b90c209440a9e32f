import { isReady } from '../cluster.js';
import { nodeAt, play, type ScenarioOptions, type ScenarioOutcome, since, untilNotReady } from './scenario.js';

/** Long enough for a probe every 5 s to be missed for 15 s, and the grace of readiness. */
const GENEROUS_MS = 40_000;

/**
 * Redis goes on to answer a node, but what it publishes no longer arrives, and no connection ends: the node finds out by its
 * probes, is not ready while that lasts, and then delivers all of it, in order.
 */
export const silentSubscriber = (options: ScenarioOptions): Promise<ScenarioOutcome> =>
  play(
    options,
    { dialogs: 2, clientsPerDialog: 5, perSecond: 20, pinned: true },
    async (stage, { measure, demand }) => {
      const { process, proxy } = nodeAt(stage, 1);
      await stage.flowed(20);
      await stage.during('silent-subscriber', async () => {
        proxy.mute((opening) => opening.includes('replyx:subscriber'));
        const notReadyMs = await untilNotReady(process);
        measure(`not ready ${notReadyMs} ms after its subscription fell silent`);
        demand(notReadyMs < GENEROUS_MS, `not ready only after ${notReadyMs} ms`);
        const published = stage.journal.count('acked');
        await stage.flowed(100);
        demand(!(await isReady(process)), 'the node was ready again while its subscription was silent');
        measure(`${stage.journal.count('acked') - published} messages published meanwhile`);
        proxy.heal();
      });
      const started = performance.now();
      await stage.well();
      measure(`well again ${since(started)} ms after the fault`);
    },
    ({ counts }, { demand }) =>
      demand(counts.announcedResets === 0, `${counts.announcedResets} copies were begun anew`),
  );
