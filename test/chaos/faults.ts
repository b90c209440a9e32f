import type { SeededRandom } from '@replyx/testkit';
import type { Cast } from './cast/cast.js';
import type { ChatClient } from './chat-client.js';
import type { ChaosCluster } from './cluster.js';
import type { Fault, FaultKind } from './plan.js';

/** What faults are done to. */
export interface Victims {
  readonly cluster: ChaosCluster;
  readonly clients: readonly ChatClient[];
  /** Where there is one. */
  readonly cast: Cast | undefined;
  /** Makes the directory's records again. */
  readonly register: () => Promise<void>;
  readonly random: SeededRandom;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const nodeOf = ({ cluster }: Victims, { node }: Fault) => {
  const index = node % cluster.processes.length;
  const process = cluster.processes[index];
  const proxy = cluster.proxies[index];
  if (process === undefined || proxy === undefined) throw new Error('a cluster has nodes');
  return { process, proxy };
};

const someClients = ({ clients, random }: Victims, { share }: Fault): ChatClient[] =>
  clients.filter(() => random.float() < share);

/** Each does its harm, lets it stand, undoes it, and resolves. */
const ACTIONS: Record<FaultKind, (victims: Victims, fault: Fault) => Promise<void>> = {
  'node-kill': async (victims, fault) => {
    const { process } = nodeOf(victims, fault);
    await process.kill();
    await sleep(fault.holdMs);
    await process.restart('kill');
  },
  'node-stop': async (victims, fault) => {
    const { process } = nodeOf(victims, fault);
    process.pause();
    await sleep(fault.holdMs);
    process.resume();
  },
  'node-restart': async (victims, fault) => nodeOf(victims, fault).process.restart('stop'),
  'rolling-restart': async ({ cluster }) => {
    for (const process of cluster.processes) await process.restart('stop');
  },
  'redis-kill': async ({ cluster: { redis } }, { holdMs }) => {
    await redis.kill();
    await sleep(holdMs);
    await redis.start();
  },
  'redis-restart': async ({ cluster: { redis } }) => redis.restart('stop'),
  'redis-stop': async ({ cluster: { redis } }, { holdMs }) => {
    await redis.pause();
    await sleep(holdMs);
    await redis.resume();
  },
  'redis-flush': async ({ cluster, register }) => {
    await cluster.redis.flushAll();
    await register();
  },
  'pubsub-kill': async ({ cluster: { redis } }) => {
    await redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub');
  },
  'net-blackhole': async (victims, fault) => {
    const { proxy } = nodeOf(victims, fault);
    proxy.blackhole();
    await sleep(fault.holdMs);
    proxy.heal();
  },
  'net-one-way': async (victims, fault) => {
    const { proxy } = nodeOf(victims, fault);
    proxy.blackhole(fault.direction);
    await sleep(fault.holdMs);
    proxy.heal();
  },
  'net-refuse': async (victims, fault) => {
    const { proxy } = nodeOf(victims, fault);
    proxy.refuse();
    proxy.cut();
    await sleep(fault.holdMs);
    await proxy.accept();
  },
  'net-cut': async (victims, fault) => nodeOf(victims, fault).proxy.cut(),
  'net-reset': async (victims, fault) => nodeOf(victims, fault).proxy.reset(),
  'net-delay': async (victims, fault) => {
    const { proxy } = nodeOf(victims, fault);
    proxy.delay(30 + (fault.node % 120));
    await sleep(fault.holdMs);
    proxy.heal();
  },
  'net-lost-reply': async (victims, fault) => {
    const { proxy } = nodeOf(victims, fault);
    proxy.dropReplies((chunk) => chunk.includes('appended'));
    await sleep(fault.holdMs);
    proxy.heal();
  },
  'client-slow': async (victims, fault) => {
    const resumes = someClients(victims, fault).map((client) => client.pauseReading());
    await sleep(fault.holdMs);
    for (const resume of resumes) resume();
  },
  'client-half-open': async (victims, fault) => {
    for (const client of someClients(victims, fault)) client.vanish();
  },
  'client-herd': async (victims, fault) => {
    for (const client of someClients(victims, fault)) client.drop();
  },
  'webhook-down': async ({ cast }, { holdMs }) => {
    await cast?.webhook.down();
    await sleep(holdMs);
    await cast?.webhook.up();
  },
  'webhook-broken': async ({ cast }, { holdMs }) => {
    cast?.webhook.break();
    await sleep(holdMs);
    cast?.webhook.mend();
  },
};

/** Resolves when the fault has been undone; nobody need be well yet. */
export const strike = (victims: Victims, fault: Fault): Promise<void> => ACTIONS[fault.kind](victims, fault);
