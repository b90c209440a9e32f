import { until } from '@replyx/testkit';
import { nodeAt, play, type ScenarioOptions, type ScenarioOutcome, since } from './scenario.js';

/** One of three nodes dies with all its sockets, under load: all come back elsewhere, nothing is lost, repeated or begun anew. */
export const nodeKill = (options: ScenarioOptions): Promise<ScenarioOutcome> => {
  const clientsPerDialog = 4;
  const dialogs = Math.ceil((options.clients ?? 300) / clientsPerDialog);
  return play(
    options,
    { dialogs, clientsPerDialog, perSecond: 200 },
    async (stage, { measure }) => {
      await stage.flowed(200);
      await stage.during('node-kill', () => nodeAt(stage, 1).process.kill());
      const started = performance.now();
      await until(() => stage.absentCount > 0, { what: 'clients to lose their node' });
      const lost = stage.absentCount;
      await stage.allLive();
      measure(`${lost} of ${stage.clients.length} clients lost their node; all were back after ${since(started)} ms`);
      await stage.flowed(200);
    },
    ({ counts }, { demand }) =>
      demand(counts.announcedResets === 0, `${counts.announcedResets} copies were begun anew`),
  );
};
