import type { GatewayProcess } from '@replyx/testkit';
import { internalApi } from '@replyx/testkit';
import { closesPerSecond, type Window } from '../ack-times.js';
import { directly, play, type ScenarioOptions, type ScenarioOutcome, since } from './scenario.js';

const GRACE_MS = 15_000;
const SPREAD_SECONDS = 4;
const WAIT_SECONDS = 1;
/** In a second; each closes one connection at least. */
const SLICES = 20;
/** Closes that were spread evenly may come to us in lumps. */
const LUMP = 1.5;

const connectionsOf = async ({ internalUrl, nodeId }: GatewayProcess): Promise<number> => {
  const { body } = await internalApi(internalUrl).get('/v1/cluster');
  return body.nodes.find(({ id }: { id: string }) => id === nodeId)?.connections ?? 0;
};

/**
 * Every node is drained and started again, one after the other, under load: all closes are planned and spread, every exit is in time,
 * and nothing is begun anew.
 */
export const rollingRestart = (options: ScenarioOptions): Promise<ScenarioOutcome> => {
  const clientsPerDialog = 4;
  const dialogs = Math.ceil((options.clients ?? 60) / clientsPerDialog);
  const windows: (Window & { readonly name: string; readonly clients: number })[] = [];
  const env = { WS_DRAIN_WAIT_SECONDS: WAIT_SECONDS, WS_DRAIN_SPREAD_SECONDS: SPREAD_SECONDS };
  return play(
    options,
    { dialogs, clientsPerDialog, perSecond: 100, cluster: { redisUrl: directly, env } },
    async (stage, { measure, demand }) => {
      await stage.flowed(100);
      for (const process of stage.cluster.processes) {
        await stage.during('node-restart', async () => {
          const name = process.nodeId;
          const started = performance.now();
          const from = stage.journal.now;
          const clients = await connectionsOf(process);
          const { code, signal } = await process.stop();
          const ms = since(started);
          measure(`${name} drained and ended within ${ms} ms`);
          demand(code === 0, `${name} ended with ${code ?? signal}`);
          demand(ms < GRACE_MS, `${name} took ${ms} ms to end`);
          windows.push({ name, clients, from, to: stage.journal.now });
          await process.start();
        });
        await stage.well();
      }
      await stage.flowed(100);
    },
    async ({ counts, journalPath }, { demand, measure }) => {
      for (const { name, clients, ...window } of windows) {
        const most = await closesPerSecond(journalPath, 1012, window);
        const bound = Math.ceil(clients / (SPREAD_SECONDS * SLICES)) * SLICES * LUMP;
        measure(`${name}: at most ${most} closes in a second; ${clients} clients over ${SPREAD_SECONDS} s`);
        demand(most <= bound, `${name} closed ${most} connections in a second, of ${clients} over ${SPREAD_SECONDS} s`);
      }
      const codes = Object.keys(counts.closes);
      demand(
        codes.join() === '1012',
        `connections were closed with ${JSON.stringify(counts.closes)}, not with 1012 alone`,
      );
      demand(counts.announcedResets === 0, `${counts.announcedResets} copies were begun anew`);
    },
  );
};
