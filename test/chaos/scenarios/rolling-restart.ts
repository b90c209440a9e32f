import { play, type ScenarioOptions, type ScenarioOutcome, since } from './scenario.js';

const GRACE_MS = 15_000;

/** Every node is drained and started again, one after the other, under load: all closes are planned, every exit is in time. */
export const rollingRestart = (options: ScenarioOptions): Promise<ScenarioOutcome> => {
  const clientsPerDialog = 4;
  const dialogs = Math.ceil((options.clients ?? 60) / clientsPerDialog);
  return play(
    options,
    { dialogs, clientsPerDialog, perSecond: 100 },
    async (stage, { measure, demand }) => {
      await stage.flowed(100);
      for (const process of stage.cluster.processes) {
        await stage.during('node-restart', async () => {
          const name = process.nodeId;
          const started = performance.now();
          const { code, signal } = await process.stop();
          const ms = since(started);
          measure(`${name} drained and ended within ${ms} ms`);
          demand(code === 0, `${name} ended with ${code ?? signal}`);
          demand(ms < GRACE_MS, `${name} took ${ms} ms to end`);
          await process.start();
        });
      }
      await stage.flowed(100);
    },
    ({ counts }, { demand }) => {
      const codes = Object.keys(counts.closes);
      demand(
        codes.join() === '1012',
        `connections were closed with ${JSON.stringify(counts.closes)}, not with 1012 alone`,
      );
      demand(counts.announcedResets === 0, `${counts.announcedResets} copies were begun anew`);
    },
  );
};
