import { lostReply } from './lost-reply.js';
import { nodeKill, nodeStorm } from './node-kill.js';
import { oneWayCut } from './one-way-cut.js';
import { redisFlush, redisKill } from './redis-faults.js';
import { rollingRestart } from './rolling-restart.js';
import type { ScenarioOptions, ScenarioOutcome } from './scenario.js';
import { sentinelFailover } from './sentinel-failover.js';
import { silentSubscriber } from './silent-subscriber.js';
import { stoppedNode } from './stopped-node.js';
import { webhookAway } from './webhook-away.js';

/** One fault each, looked at closely. */
export const SCENARIOS: Readonly<Record<string, (options: ScenarioOptions) => Promise<ScenarioOutcome>>> = {
  'node-kill': nodeKill,
  'node-storm': nodeStorm,
  'rolling-restart': rollingRestart,
  'redis-kill': redisKill,
  'redis-flush': redisFlush,
  'silent-subscriber': silentSubscriber,
  'lost-reply': lostReply,
  'one-way-cut': oneWayCut,
  'stopped-node': stoppedNode,
  'sentinel-failover': sentinelFailover,
  'webhook-away': webhookAway,
};
