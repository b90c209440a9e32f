import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { main, processIo } from '../src/cli.js';
import { readLoad } from '../src/run/read-load.js';

const SECRET = 'a-secret-that-must-never-be-printed-0123456789';
const FILES: Readonly<Record<string, string>> = {
  '/secret': `${SECRET}\n`,
  '/tokens': `${SECRET}\n`,
  '/empty': '\n',
  '/costs': '{"node_connect": 100000}',
  '/wrong': 'nonsense',
  '/endless': '{"node_connect": 1e999}',
  '/huge': '{"node_connect": 1e308}',
  '/null': '{"format": "replyx-load-1", "measures": null, "settings": null}',
  '/words': '{"format": "replyx-load-1", "measures": {"p99": "fast"}, "settings": {}}',
  '/list': '{"format": "replyx-load-1", "measures": {}, "settings": {}, "driverLimits": "none"}',
};

const load = async (...args: string[]) => {
  let out = '';
  let err = '';
  const code = await main(args, {
    env: {},
    readFile: (path) => {
      const text = FILES[path];
      if (text === undefined) throw Object.assign(new Error('absent'), { code: 'ENOENT' });
      return text;
    },
    checkWritable: (path) => {
      if (path.startsWith('/absent/')) throw Object.assign(new Error('absent'), { code: 'ENOENT' });
    },
    writeFile: () => {},
    isTerminal: false,
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { code, out, err };
};

const URL = ['--url', 'ws://127.0.0.1:1'];
const KEY = ['--site-secret-file', '/secret'];

describe('replyx-load', () => {
  it.each([
    [['nonsense']],
    [['dialogs']],
    [['dialogs', '--url', 'http://127.0.0.1:1', ...KEY]],
    [['dialogs', '--url', 'ws://user:word@127.0.0.1:1', ...KEY]],
    [['dialogs', ...URL]],
    [['dialogs', ...URL, ...KEY, '--nonsense']],
    [['dialogs', ...URL, ...KEY, '--rate', 'fast']],
    [['dialogs', ...URL, ...KEY, '--duration', '5 parsecs']],
    [['dialogs', ...URL, ...KEY, '--assert', 'joy>1']],
    [['dialogs', ...URL, ...KEY, '--kill', '1']],
    [['dialogs', ...URL, ...KEY, '--pid', 'zero']],
    [['dialogs', ...URL, ...KEY, '--internal-url', 'http://127.0.0.1:1']],
    [['dialogs', ...URL, ...KEY, '--origin', 'https://shop.example/path']],
    [['dialogs', ...URL, ...KEY, '--text', '20KB']],
    [['rolling', ...URL, ...KEY]],
    [['flood', ...URL, ...KEY, '--attempts', 'magic']],
    [['flood', ...URL, ...KEY, '--attempts', 'denied']],
    [['storm', ...URL, ...KEY, '--per-dialog', '1']],
    [['hot', ...URL, ...KEY]],
    [['compare', 'one']],
    [['plan', '--connections', '1000']],
    [['plan', '--connections', '1000', '--rate', '1', '--node-memory', '1MiB']],
    [['plan', '--connections', '1000', '--rate', '1', '--node-cpu', '0.01']],
    [['plan', '--connections', '1000', '--rate', '1', '--redis-memory', '0']],
    [['plan', '--connections', '1000G', '--rate', '1', '--per-dialog', '1G', '--node-cpu', '0.0165']],
    [['plan', '--connections', '1000', '--rate', '1', '--text', '9'.repeat(400)]],
    [['plan', '--connections', '1000', '--rate', '1', '--costs', '/huge']],
    [['plan', '--connections', '1000', '--rate', '1', '--history-ttl', `${'9'.repeat(400)}d`]],
  ])('answers a usage error in one line: %j', async (args) => {
    const { code, err, out } = await load(...args);
    expect(code).toBe(2);
    expect(err).toMatch(/^replyx-load: [^\n]+\n$/);
    expect(out).toBe('');
  });

  it.each([
    [['dialogs', ...URL, '--site-secret-file', '/absent']],
    [['dialogs', ...URL, '--tokens', '/tokens']],
    // Beyond the greatest id that Linux gives.
    [['dialogs', ...URL, ...KEY, '--pid', 'node-1=4194305']],
    [['dialogs', ...URL, '--tokens', '/empty']],
    [['compare', '/wrong', '/wrong']],
    [['compare', '/null', '/null']],
    [['compare', '/words', '/words']],
    [['compare', '/list', '/list']],
    [['plan', '--connections', '1000', '--rate', '1', '--costs', '/wrong']],
    [['plan', '--connections', '1000', '--rate', '1', '--costs', '/endless']],
  ])('answers what it can not do in one line, without the content of a file: %j', async (args) => {
    const { code, err } = await load(...args);
    expect(code).toBe(1);
    expect(err).toMatch(/^replyx-load: [^\n]+\n$/);
    expect(err).not.toContain(SECRET);
  });

  it.each([
    ['--json', ['--json', '/absent/after']],
    ['--html', ['--json', '/after', '--html', '/absent/after']],
  ])('says before the load that the file of %s can not be written', async (option, files) => {
    expect(await load('dialogs', ...URL, ...KEY, ...files)).toEqual({
      code: 1,
      out: '',
      err: `replyx-load: the file "/absent/after" of ${option} can't be written\n`,
    });
  });

  it('says of which processes it will not measure everything', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    try {
      await once(child, 'spawn');
      const io = { ...processIo(), env: { SITE_SECRET: SECRET } };
      const warnings = async (pid: number | undefined) =>
        (await readLoad('dialogs', [...URL, '--pid', `node-1=${pid}`], io)).warnings;
      expect(await warnings(child.pid)).toEqual([]);
      expect(await warnings(process.pid)).toEqual([
        expect.stringMatching(
          new RegExp(`^node-1 \\(process ${process.pid}\\) has child processes .*\\b${child.pid}\\b`),
        ),
      ]);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('prints the help of everything', async () => {
    for (const name of ['idle', 'dialogs', 'hot', 'storm', 'connects', 'flood', 'soak', 'rolling', 'compare', 'plan']) {
      const { code, out } = await load(name, '--help');
      expect(code).toBe(0);
      expect(out).toContain(`Usage: replyx-load ${name}`);
    }
    expect(await load('--version')).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
    expect((await load('measures')).out).toContain('cpu_us_per_message');
  });

  it('plans a cluster, by the measured costs or by given ones', async () => {
    const planned = async (...args: string[]) => {
      const { code, out } = await load(
        'plan',
        '--connections',
        '100k',
        '--rate',
        '2k',
        '--history-ttl',
        '1h',
        '--json',
        ...args,
      );
      expect(code).toBe(0);
      return JSON.parse(out).capacity;
    };
    const usual = await planned();
    const dear = await planned('--costs', '/costs');
    expect(usual.nodes).toBeGreaterThan(1);
    expect(dear.nodes).toBeGreaterThan(usual.nodes);
    expect(dear.first.name).toMatch(/^(node|Redis) /);
    const { out } = await load('plan', '--connections', '100k', '--rate', '2k');
    expect(out).toMatch(/^\d+ nodes \(1 of them to spare\), \d+ Redis shards?\n.* gives out first/);
  });

  it('says at once where a load needs more shards than can be used', async () => {
    const { out } = await load('plan', '--connections', '1M', '--rate', '20k');
    expect(out).toMatch(/^\d+ nodes \(1 of them to spare\), \d+ Redis shards, of which only 128 can be used\n/);
  });
});

describe('checkWritable', () => {
  it('finds what can not be written, leaves what is there, and leaves nothing behind', () => {
    const folder = mkdtempSync(join(tmpdir(), 'replyx-load-'));
    try {
      const { checkWritable } = processIo();
      const kept = join(folder, 'kept.json');
      writeFileSync(kept, 'kept');
      checkWritable(kept);
      checkWritable(join(folder, 'new.json'));
      expect(() => checkWritable(folder)).toThrow();
      expect(() => checkWritable(join(folder, 'absent', 'new.json'))).toThrow();
      expect(readdirSync(folder)).toEqual(['kept.json']);
      expect(readFileSync(kept, 'utf8')).toBe('kept');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
