import { freePort, type RedisOptions, type RedisServer, startProxy, startRedis } from '@replyx/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import { inspectRedis, type RedisServerFacts } from '../src/index.js';

const PASSWORD = 'm4Xq9TzWc5LrYpG7uXs2KbJmHf';
const servers: RedisServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.kill()));
});

const start = async (options: RedisOptions = {}): Promise<RedisServer> => {
  const server = await startRedis(options);
  servers.push(server);
  return server;
};

const factsOf = async (server: RedisServer): Promise<RedisServerFacts> => {
  const [only, ...others] = await inspectRedis(server.url);
  expect(others).toEqual([]);
  if (only?.status !== 'inspected') throw new Error(`not inspected: ${JSON.stringify(only)}`);
  expect(only.server).toBe(`127.0.0.1:${server.port}`);
  return only.facts;
};

describe('what a Redis says of itself', () => {
  test('a guarded, durable one', async () => {
    const facts = await factsOf(await start({ password: PASSWORD, appendonly: true, appendfsync: 'always' }));
    expect(facts).toMatchObject({
      tooOld: undefined,
      role: 'master',
      replicas: 0,
      evictionPolicy: 'noeviction',
      maxBytes: 0,
      appendOnly: true,
      appendFsync: 'always',
      unsyncedOnRewrite: false,
      persistenceFails: false,
      openToAll: false,
    });
    expect(facts.version).toMatch(/^(Redis|Valkey) \d+\.\d+/);
    expect(Math.abs(facts.clockOffsetMs) - facts.clockErrorMs).toBeLessThan(1_000);
    expect(facts.usedBytes).toBeGreaterThan(0);
  });

  test('an open one that forgets', async () => {
    const config = ['maxmemory 100mb', 'maxmemory-policy allkeys-lru'];
    expect(await factsOf(await start({ config }))).toMatchObject({
      openToAll: true,
      appendOnly: false,
      appendFsync: 'everysec',
      evictionPolicy: 'allkeys-lru',
      maxBytes: 104_857_600,
    });
  });

  test('one that refuses CONFIG tells the rest', async () => {
    const facts = await factsOf(await start({ appendonly: true, config: ['rename-command CONFIG ""'] }));
    expect(facts).toMatchObject({ appendOnly: true, appendFsync: undefined, unsyncedOnRewrite: undefined });
  });

  test('a cluster is asked by its map', async () => {
    expect(await factsOf(await start({ cluster: true, password: PASSWORD }))).toMatchObject({ openToAll: false });
  });

  test('a user who may not be the default one is still told from everybody', async () => {
    const server = await start();
    await server.cli('ACL', 'SETUSER', 'gateway', 'on', `>${PASSWORD}`, '~*', '&*', '+@all');
    await server.cli('ACL', 'SETUSER', 'default', 'off');
    const [only] = await inspectRedis(`redis://gateway:${PASSWORD}@127.0.0.1:${server.port}`);
    expect(only).toMatchObject({ status: 'inspected', facts: { openToAll: false } });
  });
});

describe('a Redis that does not tell is a value, in words that hold no credential', () => {
  test('nobody listens', async () => {
    const port = await freePort();
    const url = `redis://:${PASSWORD}@127.0.0.1:${port}`;
    const failed = { status: 'failed', server: `127.0.0.1:${port}`, why: 'connection refused' };
    expect(await inspectRedis(url)).toEqual([failed]);
    expect(await inspectRedis(url.replace('redis:', 'redis+cluster:'))).toEqual([failed]);
  });

  test('the login is wrong, or missing', async () => {
    const { port } = await start({ password: PASSWORD });
    const why = async (login: string): Promise<unknown> => {
      const [only] = await inspectRedis(`redis://${login}127.0.0.1:${port}`);
      return only?.status === 'failed' ? only.why : only;
    };
    expect(await why(':wrong-password-of-somebody@')).toBe('it refuses the login');
    expect(await why('')).toBe('it wants a login and the URL has none');
  });

  test('a server that knows no AUTH repeats the password, and it is not passed on', async () => {
    const config = ['rename-command AUTH ""', 'rename-command HELLO ""'];
    const { port } = await start({ config });
    const told = JSON.stringify(await inspectRedis(`redis://:${PASSWORD}@127.0.0.1:${port}`));
    expect(told).not.toContain(PASSWORD);
  });

  test('a black hole is left after the deadline', async () => {
    const { port } = await start();
    const proxy = await startProxy({ port });
    proxy.blackhole();
    const url = `redis://${proxy.address}`;
    const [only] = await inspectRedis(url, { commandDeadlineMs: 200, serverDeadlineMs: 500 });
    expect(only).toMatchObject({ status: 'failed', why: 'no answer in time' });
    await proxy.close();
  });

  test('no sentinel is there', async () => {
    const port = await freePort();
    expect(await inspectRedis(`redis+sentinel://:${PASSWORD}@127.0.0.1:${port}/main`)).toEqual([
      { status: 'failed', server: `127.0.0.1:${port} (master main)`, why: 'no sentinel names the master' },
    ]);
  });

  test('the URL is none', async () => {
    expect(await inspectRedis(`redis://:${PASSWORD}@h1,h2`)).toEqual([
      { status: 'failed', server: 'unknown', why: 'the Redis URL names several hosts without +sentinel or +cluster' },
    ]);
  });
});
