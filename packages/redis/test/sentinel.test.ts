import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createLocks, type Lock } from '@replyx/core';
import {
  findRedis,
  freePort,
  guardProcess,
  type RedisServer,
  respCall,
  scratchPath,
  startRedis,
  until,
} from '@replyx/testkit';
import { appended, freshId, patiently, publication, Recorder } from '@replyx/testkit/contract';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openLockMasters } from '../src/index.js';
import { systemClock, systemRandom } from '../src/system.js';
import { makeRedisWorld, type RedisWorld } from './redis-world.js';

const source = await findRedis();
let master: RedisServer;
let replica: RedisServer;
let sentinel: ChildProcess;
let sentinelPort: number;
let world: RedisWorld;

/** A sentinel of its own, which alone decides. */
const startSentinel = async (path: string): Promise<ChildProcess> => {
  sentinelPort = await freePort();
  const home = scratchPath('sentinel');
  await mkdir(home, { recursive: true });
  const file = join(home, 'sentinel.conf');
  const lines = [
    `port ${sentinelPort}`,
    'bind 127.0.0.1',
    `dir "${home}"`,
    `sentinel monitor mymaster ${master.host} ${master.port} 1`,
    'sentinel down-after-milliseconds mymaster 300',
    'sentinel failover-timeout mymaster 3000',
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  const child = spawn(path, [file, '--sentinel'], { stdio: 'ignore', detached: true });
  guardProcess(child);
  return child;
};

const ask = (...args: string[]) => respCall({ host: '127.0.0.1', port: sentinelPort, password: undefined }, ...args);

beforeEach(async () => {
  const config = ['repl-diskless-sync-delay 0'];
  [master, replica] = await Promise.all([startRedis({ config }), startRedis({ config })]);
  await replica.cli('REPLICAOF', master.host, master.port);
  await until(async () => String(await replica.cli('INFO', 'replication')).includes('master_link_status:up'), {
    what: 'the replica to be in sync',
  });
  if (source.kind !== 'executable') return;
  sentinel = await startSentinel(source.path);
  await until(async () => String(await ask('SENTINEL', 'REPLICAS', 'mymaster')).includes(String(replica.port)), {
    what: 'the sentinel to know the replica',
  });
  world = makeRedisWorld(master, {
    url: `redis+sentinel://127.0.0.1:${sentinelPort}/mymaster`,
    probeIntervalMs: 100,
    commandDeadlineMs: 500,
  });
});

afterEach(async () => {
  await world?.close();
  sentinel?.kill('SIGKILL');
  await Promise.all([master.kill(), replica.kill()]);
});

const failOver: Record<string, () => Promise<unknown>> = {
  'is killed': () => master.kill(),
  hangs: () => master.pause(),
  'is demoted': () =>
    until(async () => (await ask('SENTINEL', 'FAILOVER', 'mymaster')) === 'OK', { what: 'a failover' }),
};

test.skipIf(source.kind !== 'executable').each(Object.keys(failOver))(
  'when the master %s, nodes follow to the new one, name a new epoch and restore subscriptions',
  async (how) => {
    const [a, b] = [await world.open(), await world.open()];
    const recorder = new Recorder(b);
    const dialogId = freshId();
    await b.fanout.subscribe([{ dialogId, track: 'main' }]);
    const before = appended(await a.log.publish(publication(dialogId)));
    await until(
      async () => Number(await replica.cli('XLEN', `${await replica.cli('KEYS', `*${dialogId}:main:log`)}`)) === 1,
      {
        what: 'the replica to have it',
      },
    );
    await failOver[how]?.();
    await until(async () => String(await replica.cli('ROLE')).startsWith('master'), { what: 'the new master' });
    // What the former master still takes is lost with it, and never silently: the next one has another epoch.
    const after = await until(
      async () => {
        const result = appended(await a.log.publish(publication(dialogId)));
        return result.epoch !== before.epoch && result;
      },
      { what: 'a new epoch' },
    );
    expect(after.offset).toBe(2);
    expect((await patiently(() => b.log.read({ dialogId, track: 'main', limit: 0 }))).epoch).toBe(after.epoch);
    await until(() => recorder.restored.length > 0 && b.health().ok && a.health().ok, { what: 'health' });
    recorder.clear();
    appended(await a.log.publish(publication(dialogId)));
    await recorder.atLeast('publication', 1);
  },
);

test.skipIf(source.kind !== 'executable').each(Object.keys(failOver))(
  'when the master %s, a lock master follows to the new one, and fences go on',
  async (how) => {
    const masters = await openLockMasters([`redis+sentinel://127.0.0.1:${sentinelPort}/mymaster`], {
      nodeId: 'node',
      commandDeadlineMs: 500,
      probeIntervalMs: 100,
    });
    const locks = createLocks({ masters, clock: systemClock, random: systemRandom, onBug: () => {} });
    const name = freshId('lock');
    const take = async (): Promise<Lock> => {
      const result = await locks.acquire(name, { ttlMs: 60_000 });
      if (result.status !== 'acquired') throw new Error(`expected a lock, got ${result.status}`);
      return result.lock;
    };
    const before = await take();
    await locks.release(before);
    await failOver[how]?.();
    await until(async () => String(await replica.cli('ROLE')).startsWith('master'), { what: 'the new master' });
    const after = await until(
      async () => {
        const lock = await take();
        const held = String(await replica.cli('KEYS', '*:holder')) !== '';
        await locks.release(lock);
        return held && lock;
      },
      { what: 'a lock on the new master' },
    );
    expect(after.fence).toBeGreaterThan(before.fence);
    await locks.stop();
  },
);
