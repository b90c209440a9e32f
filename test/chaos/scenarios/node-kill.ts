import { until } from '@replyx/testkit';
import { keptAckTimes } from '../ack-times.js';
import type { StageOptions } from '../stage.js';
import { nodeAt, play, type ScenarioOptions, type ScenarioOutcome, since } from './scenario.js';

const PER_DIALOG = 4;

/** One of three nodes dies with all its sockets, under load: all come back elsewhere, nothing is lost, repeated or begun anew. */
const kill = (
  options: ScenarioOptions,
  clients: number,
  shape: Partial<StageOptions>,
  mostMs: number,
): Promise<ScenarioOutcome> => {
  const dialogs = Math.ceil(clients / PER_DIALOG);
  const window = { from: 0, to: 0 };
  return play(
    options,
    { dialogs, clientsPerDialog: PER_DIALOG, perSecond: 200, ...shape },
    async (stage, { measure, demand }) => {
      await stage.flowed(200);
      window.from = stage.journal.now;
      await stage.during('node-kill', () => nodeAt(stage, 0).process.kill());
      const started = performance.now();
      await until(() => stage.absentCount > 0, { what: 'clients to lose their node' });
      let lost = 0;
      const count = setInterval(() => {
        lost = Math.max(lost, stage.absentCount);
      }, 5);
      await stage.allLive();
      clearInterval(count);
      window.to = stage.journal.now;
      const ms = since(started);
      measure(`${lost} of ${stage.clients.length} clients lost their node; all were back after ${ms} ms`);
      demand(ms < mostMs, `all were back only after ${ms} ms`);
      await stage.flowed(200);
    },
    async ({ counts, journalPath }, { demand, measure }) => {
      demand(counts.announcedResets === 0, `${counts.announcedResets} copies were begun anew`);
      const { count, median, p99, worst } = await keptAckTimes(journalPath, window);
      measure(
        `meanwhile ${count} messages of clients that kept their node: acknowledged after ${median} ms (median), ${p99} ms (p99), ${worst} ms at most`,
      );
    },
  );
};

const BACK_MS = 60_000;

export const nodeKill = (options: ScenarioOptions): Promise<ScenarioOutcome> =>
  kill(options, options.clients ?? 300, {}, BACK_MS);

/** A node dies on which nearly all clients are: two survivors take them over, and go on to serve their own. */
export const nodeStorm = (options: ScenarioOptions): Promise<ScenarioOutcome> =>
  kill(options, options.clients ?? 600, { crowded: true, silenceMs: 60_000, settleGuardMs: 300_000 }, BACK_MS);
