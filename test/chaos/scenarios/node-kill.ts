import { until } from '@replyx/testkit';
import { at } from '../../integration/world.js';
import { keptAckTimes } from '../ack-times.js';
import type { StageOptions } from '../stage.js';
import { directly, nodeAt, play, type ScenarioOptions, type ScenarioOutcome, since } from './scenario.js';

const PER_DIALOG = 4;
const BACK_MS = 60_000;
/** A balancer looks each second or two, and believes the second failure. */
const NOTICED_MS = 3_000;

/**
 * One of three nodes dies with all its sockets, under load: all come back elsewhere, nothing is lost, repeated or begun anew.
 * `noticedMs`: after so long a balancer leads nobody to it any more; by default never.
 */
const kill = (
  options: ScenarioOptions,
  clients: number,
  shape: Partial<StageOptions>,
  noticedMs?: number,
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
      if (noticedMs !== undefined) setTimeout(() => stage.out.add(at(stage.cluster.nodes, 0)), noticedMs);
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
      demand(ms < BACK_MS, `all were back only after ${ms} ms`);
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

export const nodeKill = (options: ScenarioOptions): Promise<ScenarioOutcome> =>
  kill(options, options.clients ?? 300, { cluster: { redisUrl: directly } });

/**
 * A node dies on which nearly all clients are: two survivors take them over, and go on to serve their own. Clients come back by the
 * contract's times, through a balancer that finds a dead node, and nodes shed load as they do by default.
 */
export const nodeStorm = (options: ScenarioOptions): Promise<ScenarioOutcome> =>
  kill(
    options,
    options.clients ?? 600,
    {
      crowded: true,
      haste: 1,
      silenceMs: 60_000,
      settleGuardMs: 300_000,
      // Absent: the default.
      cluster: { redisUrl: directly, env: { WS_SHED_LAG_MS: undefined } },
    },
    NOTICED_MS,
  );
