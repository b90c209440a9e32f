import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import {
  connect,
  findRedis,
  freePort,
  runReplyx,
  startGateway,
  startRedis,
  TEST_API_KEY,
  TEST_SECRET_KEY,
  TEST_SITE_SECRET,
  until,
} from '@replyx/testkit';
import { describe, expect, it } from 'vitest';
import { childrenOf, isAlive, startCluster } from './processes.js';

const SECRETS = { SECRET_KEY: TEST_SECRET_KEY, SITE_SECRET: TEST_SITE_SECRET, API_KEYS: TEST_API_KEY };

const assertOneLine = (stderr: string, says: RegExp): void => {
  expect(stderr).toMatch(says);
  expect(stderr).not.toMatch(/ at .*\(|node:internal|Error:/);
};

describe('mistakes get one clear line and a non-zero exit', () => {
  it('a port that is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const { code, stderr } = await runReplyx(['serve'], {
      ...SECRETS,
      HOST: '127.0.0.1',
      PORT: port,
      INTERNAL_PORT: 0,
    });
    server.close();
    expect(code).toBe(1);
    assertOneLine(stderr, new RegExp(`^replyx: cannot listen on 127.0.0.1:${port}: the port is taken.*\\n$`, 'm'));
  });

  it('a Redis that does not answer', async () => {
    const port = await freePort();
    const { code, stderr, stdout } = await runReplyx(['serve'], {
      ...SECRETS,
      PORT: 0,
      INTERNAL_PORT: 0,
      REDIS_URL: `redis://:hunter2@127.0.0.1:${port}`,
    });
    expect(code).toBe(1);
    assertOneLine(stderr, new RegExp(`127.0.0.1:${port}`));
    expect(stderr + stdout).not.toContain('hunter2');
  });

  it('a secret that is too short, a near miss, a bad number', async () => {
    const short = await runReplyx(['serve'], { ...SECRETS, SECRET_KEY: 'short' });
    expect(short.code).toBe(1);
    assertOneLine(short.stderr, /CONFIG_INVALID SECRET_KEY/);
    const near = await runReplyx(['serve'], { ...SECRETS, WS_RATE_LIMIT_MESAGES: 5 });
    expect(near.code).toBe(1);
    assertOneLine(near.stderr, /WS_RATE_LIMIT_MESAGES.*WS_RATE_LIMIT_MESSAGES/);
    const bad = await runReplyx(['serve'], { ...SECRETS, PORT: 'http' });
    expect(bad.code).toBe(1);
    assertOneLine(bad.stderr, /CONFIG_INVALID PORT/);
  });

  it('an unknown command or option', async () => {
    for (const args of [['dance'], ['serve', '--fast'], ['cluster', '--nodes', '0'], ['token', 'king']]) {
      const { code, stderr } = await runReplyx(args, SECRETS);
      expect([args, code]).toEqual([args, 2]);
      assertOneLine(stderr, /^replyx: .+\n$/);
    }
  });

  it('production without secrets', async () => {
    const { code, stderr } = await runReplyx(['serve'], { ENVIRONMENT: 'production' });
    expect(code).toBe(1);
    assertOneLine(stderr, /CONFIG_INVALID (SECRET_KEY|SITE_SECRET|API_KEYS)/);
  });
});

describe('replyx token', () => {
  it('mints a token that a node accepts, and inspects it', async () => {
    const minted = await runReplyx(['token', 'operator', '--sub', 'o', '--tenant', 't', '--role', 'agent'], SECRETS);
    expect(minted).toMatchObject({ code: 0, stderr: '' });
    const token = minted.stdout.trim();
    const gateway = await startGateway({ WS_DIRECTORY: 'open' });
    const client = await connect({ url: `${gateway.wsUrl}/ws/dialogs/any`, token });
    await client.close();
    await gateway.kill();
    const inspected = await runReplyx(['token', 'inspect', token], SECRETS);
    expect(inspected.code).toBe(0);
    expect(JSON.parse(inspected.stdout)).toMatchObject({ status: 'valid', claims: { sub: 'o', tenant: 't' } });
    const refused = await runReplyx(['token', 'inspect', `${token}x`], SECRETS);
    expect(refused.code).toBe(1);
  });
});

describe('replyx serve', () => {
  it('drains on SIGTERM: sockets are told to resume elsewhere, and it exits 0', async () => {
    const gateway = await startGateway({ WS_DIRECTORY: 'open', WS_DRAIN_WAIT_SECONDS: 0 });
    const minted = await runReplyx(['token', 'operator', '--sub', 'o', '--tenant', 't', '--role', 'agent'], SECRETS);
    const client = await connect({ url: `${gateway.wsUrl}/ws/dialogs/any`, token: minted.stdout.trim() });
    const exit = await gateway.stop();
    const closed = await client.closed;
    expect(closed).toMatchObject({ code: 1012, disconnectFrame: { code: 1012, reconnect: { mode: 'delay' } } });
    expect(exit).toEqual({ code: 0, signal: null });
  });
});

describe('replyx cluster', () => {
  const worlds: readonly [string, () => Promise<{ env: Record<string, string>; done: () => Promise<unknown> }>][] = [
    ['in memory', async () => ({ env: { PATH: '/nowhere' }, done: async () => {} })],
    [
      'on the Redis of REDIS_URL',
      async () => {
        const redis = await startRedis();
        return { env: { PATH: process.env['PATH'] ?? '', REDIS_URL: redis.url }, done: () => redis.kill() };
      },
    ],
    [
      'on a redis-server from the PATH',
      async () => {
        const source = await findRedis();
        if (source.kind !== 'executable') throw new Error('this test needs a redis-server that it can put on a PATH');
        const directory = mkdtempSync(`${tmpdir()}/replyx-path-`);
        writeFileSync(`${directory}/redis-server`, `#!/bin/sh\nexec '${source.path}' "$@"\n`, { mode: 0o755 });
        return { env: { PATH: `${directory}:${process.env['PATH']}` }, done: async () => {} };
      },
    ],
  ];
  it.each(worlds)(
    '%s: prints tokens that work on every node, and leaves nothing behind on Ctrl-C',
    async (_name, make) => {
      const { env, done } = await make();
      const { child, started } = await startCluster<{
        nodes: [{ port: number }, { port: number }, { port: number }];
        tokens: { visitor: string; operator: string };
        dialog: string;
      }>(['--port', String(await freePort())], env);
      const { nodes, tokens, dialog } = started;
      expect(nodes).toHaveLength(3);
      const visitor = await connect({
        url: `ws://127.0.0.1:${nodes[0].port}/ws/site/dialogs/${dialog}`,
        token: tokens.visitor,
        origin: 'http://localhost',
      });
      const operator = await connect({
        url: `ws://127.0.0.1:${nodes[2].port}/ws/dialogs/${dialog}`,
        token: tokens.operator,
      });
      await visitor.publish('hello');
      expect(await operator.waitFor('message')).toMatchObject({ text: 'hello', offset: 1 });
      const children = childrenOf(child.pid ?? 0);
      const exited = once(child, 'exit');
      // As a terminal does: the signal goes to the whole foreground group.
      process.kill(-(child.pid ?? 0), 'SIGINT');
      expect((await exited)[0]).toBe(0);
      await until(() => children.every((pid) => !isAlive(pid)), { what: 'every process of the cluster to be gone' });
      expect((await visitor.closed).code).toBe(1012);
      await done();
    },
  );
});

it('drain has a node leave as by SIGTERM, and waits until it is gone', async () => {
  const redis = await startRedis();
  const env = { REDIS_URL: redis.url, WS_NODE_TTL_SECONDS: 3, WS_DRAIN_WAIT_SECONDS: 0, ...SECRETS };
  const [asked, leaving] = await Promise.all([
    startGateway({ NODE_ID: 'asked', ...env }),
    startGateway({ NODE_ID: 'leaving', ...env }),
  ]);
  const address = ['--internal', asked.internalUrl];
  const drain = (...args: string[]) => runReplyx(['drain', ...args, ...address], { REPLYX_API_KEY: TEST_API_KEY });
  const nodes = async () =>
    (await runReplyx(['status', ...address, '--json'], { REPLYX_API_KEY: TEST_API_KEY })).stdout;
  await until(async () => (await nodes()).includes('"leaving"'), { what: 'both nodes to be seen' });
  const unknown = await drain('nobody');
  expect(unknown.code).toBe(1);
  assertOneLine(unknown.stderr, /not_found/);
  expect((await drain()).code).toBe(2);
  expect(await drain('leaving', '--wait')).toMatchObject({ code: 0, stdout: 'leaving is draining\nleaving is gone\n' });
  expect(await leaving.exited).toEqual({ code: 0, signal: null });
  expect(asked.running).toBe(true);
  await asked.stop();
  await redis.kill();
});
