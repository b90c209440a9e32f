import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { connect, operatorToken, respCall, startGateway, startProxy, startRedis, until } from '@replyx/testkit';
import { describe, expect, it } from 'vitest';

describe('a gateway of the test kit', () => {
  it.each([
    ["a message's text", 'planted-text-of-a-message'],
    ['a token', 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0'],
  ])('fails the test that stops it when %s is in its log', async (what, planted) => {
    const quiet = await startGateway({ NODE_ID: 'node-1', WS_DIRECTORY: 'open' });
    const loud = await startGateway({ NODE_ID: planted });
    expect(loud.logs().join()).toContain(planted);
    if (what === 'a token') await expect(loud.kill()).rejects.toThrow('a token is in the log');
    else {
      await loud.kill();
      // Sent by a client first, the same line is a fault.
      const client = await connect({ url: `${quiet.wsUrl}/ws/dialogs/d`, token: operatorToken() });
      client.send({ type: 'message', id: 'm', text: planted });
      await loud.start();
      await expect(loud.stop()).rejects.toThrow("a message's text is in the log");
    }
    await quiet.kill();
  });
});

describe('a Redis of the test kit', () => {
  it('keeps what an append-only file has through a kill, on the same port', async () => {
    const redis = await startRedis({ appendonly: true, appendfsync: 'always' });
    await redis.cli('SET', 'k', 'v');
    const { pid, port } = redis;
    await redis.restart('kill');
    expect(await redis.cli('GET', 'k')).toBe('v');
    expect(redis.pid).not.toBe(pid);
    expect(redis.url).toBe(`redis://127.0.0.1:${port}`);
    await redis.flushAll();
    expect(await redis.cli('DBSIZE')).toBe(0);
    expect(redis.cpuSeconds()).toBeGreaterThanOrEqual(0);
    await redis.stop();
    await redis.stop();
    expect(redis.running).toBe(false);
  });

  it.each([{ appendonly: true }, { appendonly: false }])('rolls back to a copy of its data (%o)', async (options) => {
    const redis = await startRedis(options);
    await redis.cli('SET', 'k', 'old');
    const copy = await redis.saveCopy();
    await redis.cli('SET', 'k', 'new');
    await redis.restoreCopy(copy);
    expect(await redis.cli('GET', 'k')).toBe('old');
    await redis.kill();
  });

  it('hangs while it is paused and goes on afterwards', async () => {
    const redis = await startRedis();
    const proxy = await startProxy(redis);
    await redis.pause();
    const answer = redis.cli('PING');
    const early = await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 100, 'nothing'))]);
    expect(early).toBe('nothing');
    await redis.resume();
    expect(await answer).toBe('PONG');
    await proxy.close();
    await redis.kill();
  });

  it('is a whole cluster of one node, and still one after a restart', async () => {
    const redis = await startRedis({ cluster: true });
    expect(redis.url).toMatch(/^redis\+cluster:/);
    await expect(redis.cli('MSET', '{a}1', '1', '{b}1', '1')).rejects.toThrow(/CROSSSLOT/);
    await redis.restart();
    expect(await redis.cli('SET', '{a}1', '1')).toBe('OK');
    await redis.kill();
  });

  it('asks for its password', async () => {
    const redis = await startRedis({ password: 'a b%"c'.replaceAll('"', '') });
    expect(await redis.cli('PING')).toBe('PONG');
    expect(redis.url).toContain(':a%20b%25c@');
    await redis.kill();
  });

  it('says with the server’s own words why it does not start', async () => {
    await expect(startRedis({ config: ['no-such-directive yes'] })).rejects.toThrow(/no-such-directive/);
  });

  it('dies with a process that is killed, and leaves no folder behind', async () => {
    const kit = fileURLToPath(new URL('../../packages/testkit/dist/index.js', import.meta.url));
    const script = `const { startRedis } = await import(process.argv[1]); const r = await startRedis();
      console.log(JSON.stringify([r.port, r.dir])); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script, kit], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = await once(child.stdout, 'data');
    const [port, dir] = JSON.parse(String(line)) as [number, string];
    expect(existsSync(dir)).toBe(true);
    child.kill('SIGKILL');
    await until(() => !existsSync(dir), { what: 'the guard to clean up' });
    await expect(respCall({ host: '127.0.0.1', port }, 'PING')).rejects.toThrow('ECONNREFUSED');
  });
});
