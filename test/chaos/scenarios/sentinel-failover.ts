import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  findRedis,
  freePort,
  guardProcess,
  type RedisServer,
  type RespValue,
  respCall,
  scratchPath,
  startRedis,
  until,
} from '@replyx/testkit';
import { play, type ScenarioOptions, type ScenarioOutcome, since, sleep } from './scenario.js';

const DOWN_AFTER_MS = 1_000;
const CONFIG = ['repl-diskless-sync-delay 0'];

/** A replica of a primary, and a sentinel that alone decides. */
class Sentinel {
  readonly port: number;
  readonly replica: RedisServer;
  readonly #child: ChildProcess;

  constructor(port: number, replica: RedisServer, child: ChildProcess) {
    this.port = port;
    this.replica = replica;
    this.#child = child;
  }

  ask(...args: string[]): Promise<RespValue> {
    return respCall({ host: '127.0.0.1', port: this.port }, ...args);
  }

  async close(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.replica.kill();
  }
}

const startSentinel = async (primary: RedisServer): Promise<Sentinel> => {
  const source = await findRedis();
  if (source.kind !== 'executable') throw new Error('a sentinel needs a redis-server that is an executable');
  const replica = await startRedis({ config: CONFIG });
  await replica.cli('REPLICAOF', primary.host, primary.port);
  await until(async () => String(await replica.cli('INFO', 'replication')).includes('master_link_status:up'), {
    what: 'the replica to be in sync',
  });
  const home = scratchPath('sentinel');
  await mkdir(home, { recursive: true });
  const port = await freePort();
  const file = join(home, 'sentinel.conf');
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir "${home}"`,
    `sentinel monitor mymaster ${primary.host} ${primary.port} 1`,
    `sentinel down-after-milliseconds mymaster ${DOWN_AFTER_MS}`,
    'sentinel failover-timeout mymaster 3000',
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  const child = spawn(source.path, [file, '--sentinel'], { stdio: 'ignore', detached: true });
  guardProcess(child);
  const sentinel = new Sentinel(port, replica, child);
  await until(
    async () => String(await sentinel.ask('SENTINEL', 'REPLICAS', 'mymaster')).includes(String(replica.port)),
    {
      what: 'the sentinel to know the replica',
    },
  );
  return sentinel;
};

/** The primary hangs, a replica takes over, the primary comes back: what that lost is announced, and all go on with the new one. */
export const sentinelFailover = async (options: ScenarioOptions): Promise<ScenarioOutcome> => {
  let sentinel: Sentinel | undefined;
  const redisUrl = async (redis: RedisServer): Promise<string> => {
    sentinel = await startSentinel(redis);
    return `redis+sentinel://127.0.0.1:${sentinel.port}/mymaster`;
  };
  try {
    return await play(options, { cluster: { redis: { config: CONFIG }, redisUrl } }, async (stage, { measure }) => {
      const { replica } = sentinel as Sentinel;
      const primary = stage.cluster.redis;
      await stage.flowed(100);
      const work = async (): Promise<void> => {
        const started = performance.now();
        await primary.pause();
        await until(async () => String(await replica.cli('ROLE')).startsWith('master'), { what: 'the new primary' });
        measure(`a new primary ${since(started)} ms after the old one hung (down-after ${DOWN_AFTER_MS} ms)`);
        await stage.well();
        measure(`every node ready and every client connected after ${since(started)} ms`);
        await stage.flowed(50);
        measure(`50 more acknowledgements after ${since(started)} ms`);
        await primary.resume();
        await until(async () => String(await primary.cli('ROLE')).startsWith('slave'), {
          what: 'the old primary to follow',
        });
        measure(`the old primary follows after ${since(started)} ms`);
        await stage.well();
        // What a node may still have asked of the old primary is answered by now.
        await sleep(500);
      };
      await stage.during('sentinel-failover', work, { losesData: true });
      await stage.flowed(100);
    });
  } finally {
    await sentinel?.close();
  }
};
