import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import {
  guardProcess,
  type InternalApi,
  type LogTail,
  logTail,
  type RedisServer,
  startRedis,
  TEST_API_KEY,
  type TestClient,
  until,
} from '@replyx/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { at, joinVisitor, makeDialog, startMemoryWorld, startWorld, type World } from './world.js';

const WORKER = fileURLToPath(new URL('../../deploy/local/one-worker.mjs', import.meta.url));
const BOT = { role: 'assistant', id: 'bot' };
const OWNER = { owner: 'worker-1', ttl_ms: 30_000 };

let lockServers: RedisServer[];
beforeAll(async () => {
  lockServers = await Promise.all([1, 2, 3].map(() => startRedis()));
});
afterAll(async () => {
  await Promise.all((lockServers ?? []).map((server) => server.kill()));
});

const KINDS: readonly [string, () => Promise<World>][] = [
  ['in memory', () => startMemoryWorld({ nodes: 2 })],
  ['on one Redis', () => startWorld({ nodes: 2 })],
  [
    'on three lock masters',
    () => startWorld({ nodes: 2, env: { WS_LOCK_REDIS_URLS: lockServers.map(({ url }) => url).join(',') } }),
  ],
];

describe.each(KINDS)('the lock of a dialog %s', (_, start) => {
  let world: World;
  let a: InternalApi;
  let b: InternalApi;
  beforeAll(async () => {
    world = await start();
    [a, b] = [at(world.nodes, 0).api, at(world.nodes, 1).api];
  });
  afterAll(async () => {
    await world?.close();
  });

  it('is held by one, renewed and released at any node, with growing fences', async () => {
    await makeDialog(world, 'one');
    const first = await a.post('/v1/dialogs/one/lock', OWNER);
    expect(first.status).toBe(201);
    const { lock_id, fence, expires_in_ms } = first.body;
    expect(expires_in_ms).toBeGreaterThan(0);
    expect(expires_in_ms).toBeLessThanOrEqual(30_000);
    const refused = await b.post('/v1/dialogs/one/lock', { ...OWNER, owner: 'worker-2' });
    expect(refused).toMatchObject({
      status: 409,
      body: { code: 'conflict', detail: 'The dialog is locked by worker-1.' },
    });
    expect(await b.put(`/v1/dialogs/one/lock/${lock_id}`, { ttl_ms: 20_000 })).toMatchObject({
      status: 200,
      body: { lock_id },
    });
    expect(await b.put(`/v1/dialogs/one/lock/${'0'.repeat(32)}`, { ttl_ms: 20_000 })).toMatchObject({ status: 409 });
    expect(await b.delete(`/v1/dialogs/other/lock/${lock_id}`)).toMatchObject({ status: 409 });
    expect((await b.delete(`/v1/dialogs/one/lock/${lock_id}`)).status).toBe(204);
    expect(await a.put(`/v1/dialogs/one/lock/${lock_id}`, { ttl_ms: 20_000 })).toMatchObject({
      status: 409,
      body: { code: 'conflict' },
    });
    const second = await b.post('/v1/dialogs/one/lock', OWNER);
    expect(second.body.fence).toBeGreaterThan(fence);
    await a.delete(`/v1/dialogs/one/lock/${second.body.lock_id}`);
  });

  it('is given to the one that waits when it is released, and when its time is over', async () => {
    await makeDialog(world, 'waits');
    const first = await a.post('/v1/dialogs/waits/lock', OWNER);
    const waiting = b.post('/v1/dialogs/waits/lock', { owner: 'worker-2', ttl_ms: 500, wait_ms: 30_000 });
    await a.delete(`/v1/dialogs/waits/lock/${first.body.lock_id}`);
    expect((await waiting).status).toBe(201);
    const third = await a.post('/v1/dialogs/waits/lock', { ...OWNER, wait_ms: 30_000 });
    expect(third.status).toBe(201);
    expect(third.body.fence).toBeGreaterThan((await waiting).body.fence);
    await a.delete(`/v1/dialogs/waits/lock/${third.body.lock_id}`);
  });

  it('is not left with a caller that went while it waited', async () => {
    await makeDialog(world, 'gone');
    const first = await a.post('/v1/dialogs/gone/lock', OWNER);
    const caller = new AbortController();
    const abandoned = fetch(new URL('/v1/dialogs/gone/lock', at(world.nodes, 1).internalUrl), {
      method: 'POST',
      headers: { authorization: `Bearer ${TEST_API_KEY}` },
      body: JSON.stringify({ owner: 'gone', ttl_ms: 60_000, wait_ms: 30_000 }),
      signal: caller.signal,
    }).catch(() => 'gone');
    setTimeout(() => caller.abort(), 300);
    expect(await abandoned).toBe('gone');
    await a.delete(`/v1/dialogs/gone/lock/${first.body.lock_id}`);
    const next = await a.post('/v1/dialogs/gone/lock', { ...OWNER, wait_ms: 30_000 });
    expect(next.status).toBe(201);
    await a.delete(`/v1/dialogs/gone/lock/${next.body.lock_id}`);
  });

  it('protects by its fence: once a newer holder has written, an older one is refused', async () => {
    await makeDialog(world, 'fence');
    const write = (api: InternalApi, fence: number) =>
      api.post('/v1/dialogs/fence/messages', { sender: BOT, text: 'x', fence });
    const stale = (await a.post('/v1/dialogs/fence/lock', { owner: 'worker-1', ttl_ms: 100 })).body;
    const fresh = (await b.post('/v1/dialogs/fence/lock', { ...OWNER, wait_ms: 30_000 })).body;
    // Nothing has been written with the newer one yet: this one is late, and harmless.
    expect((await write(a, stale.fence)).status).toBe(201);
    expect((await write(b, fresh.fence)).status).toBe(201);
    expect(await write(a, stale.fence)).toMatchObject({ status: 409, body: { code: 'stale_fence' } });
    expect(await a.delete(`/v1/dialogs/fence/lock/${stale.lock_id}`)).toMatchObject({ status: 409 });
    expect((await write(b, fresh.fence)).status).toBe(201);
    await b.delete(`/v1/dialogs/fence/lock/${fresh.lock_id}`);
  });

  it('is of a dialog that exists', async () => {
    expect(await a.post('/v1/dialogs/unknown/lock', OWNER)).toMatchObject({ status: 404 });
    expect(await a.delete('/v1/dialogs/one/lock/short')).toMatchObject({ status: 404 });
  });
});

describe('lock masters that stand still', () => {
  it('are a refusal in time, and a dialog goes on without them', async () => {
    const world = await startWorld({
      nodes: 1,
      env: { WS_LOCK_REDIS_URLS: lockServers.map(({ url }) => url).join(',') },
    });
    const { api } = at(world.nodes, 0);
    try {
      await makeDialog(world, 'd');
      await at(lockServers, 0).pause();
      const lock = await api.post('/v1/dialogs/d/lock', { ...OWNER, wait_ms: 10_000 });
      expect(lock.status).toBe(201);
      await at(lockServers, 1).pause();
      const started = performance.now();
      expect(await api.put(`/v1/dialogs/d/lock/${lock.body.lock_id}`, { ttl_ms: 30_000 })).toMatchObject({
        status: 503,
        body: { code: 'unavailable', temporary: true },
      });
      console.log(`2 of 3 lock masters stopped: answered after ${(performance.now() - started).toFixed(0)} ms`);
      expect(
        (await api.post('/v1/dialogs/d/messages', { sender: BOT, text: 'x', fence: lock.body.fence })).status,
      ).toBe(201);
      expect((await api.get('/readyz')).status).toBe(200);
      await Promise.all(lockServers.map((server) => server.resume()));
      await until(
        async () => (await api.put(`/v1/dialogs/d/lock/${lock.body.lock_id}`, { ttl_ms: 100 })).status === 200,
        {
          what: 'the lock to be renewed',
        },
      );
    } finally {
      await Promise.all(lockServers.map((server) => server.resume()));
      await world.close();
    }
  });
});

describe('a node that leaves', () => {
  it('answers those who wait for a lock at it, and they go to another one', async () => {
    // What is sent before the signal arrives within the wait of the drain.
    const world = await startWorld({ nodes: 2, env: { WS_DRAIN_WAIT_SECONDS: 2 } });
    const [leaving, staying] = [at(world.nodes, 0).api, at(world.nodes, 1).api];
    try {
      await makeDialog(world, 'd');
      const held = await staying.post('/v1/dialogs/d/lock', OWNER);
      const wanted = { owner: 'worker-2', ttl_ms: 30_000, wait_ms: 30_000 };
      const waiting = Promise.all([1, 2, 3].map(() => leaving.post('/v1/dialogs/d/lock', wanted)));
      const stopped = at(world.processes, 0).stop();
      for (const answer of await waiting)
        expect(answer).toMatchObject({ status: 503, body: { code: 'unavailable', temporary: true } });
      expect((await stopped).code).toBe(0);
      await staying.delete(`/v1/dialogs/d/lock/${held.body.lock_id}`);
      expect((await staying.post('/v1/dialogs/d/lock', wanted)).status).toBe(201);
    } finally {
      await world.close();
    }
  });
});

describe('one worker answers a dialog', () => {
  interface Worker {
    readonly name: string;
    readonly child: ChildProcess;
    readonly log: LogTail;
  }
  let world: World;
  let visitor: TestClient;
  const workers: Worker[] = [];
  const startWorker = (name: string): Worker => {
    const child = spawn(process.execPath, [WORKER, name], {
      env: {
        PATH: process.env['PATH'],
        REPLYX_INTERNAL_URLS: world.nodes.map(({ internalUrl }) => internalUrl).join(','),
        REPLYX_API_KEY: TEST_API_KEY,
        REPLYX_DIALOG: 'shared',
        REPLYX_LOCK_TTL_MS: '1500',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    guardProcess(child);
    const log = logTail();
    log.follow(child.stdout);
    const worker = { name, child, log };
    workers.push(worker);
    return worker;
  };
  beforeAll(async () => {
    world = await startWorld({ nodes: 2 });
    await makeDialog(world, 'shared');
    visitor = await joinVisitor(at(world.nodes, 0), 'shared');
  });
  afterAll(async () => {
    for (const { child } of workers) {
      child.kill('SIGCONT');
      child.kill('SIGKILL');
    }
    await visitor?.close();
    await world?.close();
  });

  /** Says something and returns the name of the worker that answers it. */
  const ask = async (text: string): Promise<Worker> => {
    const ack = await visitor.publish(text);
    const answer = await visitor.waitFor(
      (frame) =>
        frame.type === 'message' && (frame['meta'] as { answers?: number } | undefined)?.answers === ack['offset'],
    );
    const { worker } = answer['meta'] as { worker: string };
    return workers.find(({ name }) => name === worker) as Worker;
  };
  const answersTo = (text: string) =>
    visitor.frames.filter((frame) => frame.type === 'message' && String(frame.text).endsWith(`answers: ${text}`));

  it('while it lives, and the other takes over when it is killed', async () => {
    startWorker('anna');
    startWorker('bert');
    const first = await ask('one');
    expect(await ask('two')).toBe(first);
    const other = workers.find((worker) => worker !== first) as Worker;
    expect(other.log.lines().filter((line) => line.startsWith('answered'))).toEqual([]);
    first.child.kill('SIGKILL');
    expect(await ask('three')).toBe(other);
    for (const text of ['one', 'two', 'three']) expect(answersTo(text)).toHaveLength(1);
  });

  it('one that stood still meanwhile is refused, and answers nothing', async () => {
    const before = await ask('four');
    startWorker('carl');
    before.child.kill('SIGSTOP');
    const after = await ask('five');
    expect(after).not.toBe(before);
    const fenceOf = (worker: Worker) => Number(/fence=(\d+)/.exec(worker.log.lines().join('\n'))?.[1]);
    expect(fenceOf(after)).toBeGreaterThan(fenceOf(before));
    // What it would write when it goes on.
    const write = at(world.nodes, 1).api.post('/v1/dialogs/shared/messages', {
      sender: BOT,
      text: 'late',
      fence: fenceOf(before),
    });
    expect(await write).toMatchObject({ status: 409, body: { code: 'stale_fence' } });
    before.child.kill('SIGCONT');
    expect(await ask('six')).toBe(after);
    await until(() => before.log.lines().includes('unlocked'), { what: 'it to notice' });
    for (const text of ['four', 'five', 'six']) expect(answersTo(text)).toHaveLength(1);
  });

  it('one that ends in order gives the lock back at once', async () => {
    const first = await ask('seven');
    first.child.kill('SIGTERM');
    const ended = performance.now();
    const second = await ask('eight');
    console.log(`taken over ${(performance.now() - ended).toFixed(0)} ms after an orderly end`);
    expect(second).not.toBe(first);
    expect(first.log.lines().at(-1)).toBe('unlocked');
  });
});
