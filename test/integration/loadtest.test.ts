import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { guardProcess, TEST_API_KEY, TEST_SECRET_KEY, TEST_SITE_SECRET } from '@replyx/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { at, startWorld, type World } from './world.js';

const COMMAND = fileURLToPath(new URL('../../packages/loadtest/bin/replyx-load.js', import.meta.url));

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

describe('replyx-load against a cluster of two nodes', () => {
  let world: World;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'replyx-load-'));
    for (const [name, secret] of Object.entries({
      site: TEST_SITE_SECRET,
      secret: TEST_SECRET_KEY,
      api: TEST_API_KEY,
    })) {
      writeFileSync(join(folder, name), secret, { mode: 0o600 });
    }
    world = await startWorld({
      nodes: 2,
      env: {
        WS_RATE_LIMIT_PER_IP: 0,
        WS_RATE_LIMIT_AUTH_FAILURES: 0,
        WS_BAN_SCORE: 0,
        WS_MAX_CONNECTIONS_PER_DIALOG: 0,
      },
    });
  });

  afterAll(async () => {
    await world.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const start = (scenario: string, ...args: string[]): { child: ChildProcess; ended: Promise<Ran> } => {
    const nodes = world.nodes.flatMap(({ wsUrl, internalUrl }) => ['--url', wsUrl, '--internal-url', internalUrl]);
    const pids = world.processes.flatMap(({ nodeId, pid }) => ['--pid', `${nodeId}=${pid}`]);
    const keys = ['--site-secret-file', 'site', '--secret-key-file', 'secret', '--api-key-file', 'api'];
    const child = spawn(process.execPath, [COMMAND, scenario, ...nodes, ...pids, ...keys, ...args], {
      cwd: folder,
      env: {},
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    guardProcess(child);
    const said = { out: '', err: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said.out += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said.err += text;
    });
    return { child, ended: once(child, 'close').then(([code]) => ({ code: code as number | null, ...said })) };
  };
  const run = (scenario: string, ...args: string[]): Promise<Ran> => start(scenario, ...args).ended;
  const resultOf = (name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8'));

  it('runs dialogs from two drivers, finds every message delivered once and in order, and writes what it found', async () => {
    const load = ['--dialogs', '20', '--rate', '200', '--duration', '2s', '--ramp', '500ms', '--drivers', '2'];
    const asserts = ['lost=0', 'faults=0', 'p99<5s', 'unsent=0', 'away=0'].flatMap((text) => ['--assert', text]);
    const ran = await run('dialogs', ...load, ...asserts, '--json', 'dialogs.json', '--html', 'dialogs.html');
    expect(ran).toMatchObject({ code: 0 });
    const result = resultOf('dialogs.json');
    expect(result.counts).toMatchObject({ sent: 450, acked: 450, delivered: 900, refused: 0, closed: {}, errors: {} });
    expect(result.measures).toMatchObject({ connections: 40, faults: 0, away: 0 });
    // Only what was due after the ramp counts for the percentiles.
    expect(result.latencies.ack.count).toBe(400);
    expect(result.measures.cpu_us_per_message).toBeGreaterThan(0);
    expect(result.servers.map(({ name }: { name: string }) => name)).toEqual(['node-1', 'node-2']);
    const page = readFileSync(join(folder, 'dialogs.html'), 'utf8');
    expect(page).toContain('Latency over time');
    for (const secret of [TEST_SITE_SECRET, TEST_SECRET_KEY, TEST_API_KEY, 'eyJ']) {
      expect(`${ran.out}${ran.err}${page}${JSON.stringify(result)}`).not.toContain(secret);
    }
  });

  it('sets the exit code by a threshold that does not hold', async () => {
    const ran = await run(
      'dialogs',
      '--dialogs',
      '2',
      '--rate',
      '20',
      '--duration',
      '500ms',
      '--assert',
      'lost=0',
      '--assert',
      'sent<5',
    );
    expect(ran.code).toBe(1);
    expect(ran.out).toMatch(/assert +lost=0\n +ASSERT FAILED +sent<5 \(10\)/);
  });

  it('brings every reader of a storm back whole', async () => {
    const load = ['--connections', '120', '--missed', '5', '--rate', '400', '--spread', '300ms'];
    const ran = await run(
      'storm',
      ...load,
      '--assert',
      'faults=0',
      '--assert',
      'discontinued=0',
      '--json',
      'storm.json',
    );
    expect(ran).toMatchObject({ code: 0 });
    const { counts, measures, latencies } = resultOf('storm.json');
    expect(counts).toMatchObject({ sent: 150, delivered: 750, recovered: 120, discontinued: 0 });
    expect(latencies.recovery.count).toBe(120);
    expect(measures).toMatchObject({ away: 0, connections: 150 });
  });

  it('opens connections at a rate, on every node', async () => {
    const ran = await run(
      'connects',
      '--rate',
      '60',
      '--duration',
      '1500ms',
      '--dialogs',
      '30',
      '--json',
      'connects.json',
    );
    expect(ran).toMatchObject({ code: 0 });
    const { counts, measures, latencies } = resultOf('connects.json');
    expect(counts).toMatchObject({ opened: 90, joined: 90, turnedAway: {}, closed: {} });
    expect(latencies.connect.count).toBe(90);
    expect(measures.connect_p99).toBeGreaterThan(0);
  });

  it('has every attempt of a flood refused while admitted clients chat', async () => {
    const load = ['--duration', '2s', '--quiet', '1s', '--attempt-rate', '100', '--rate', '50', '--dialogs', '5'];
    const attempts = ['--attempts', 'bad-token,expired,origin,unknown,garbage'];
    const ran = await run(
      'flood',
      ...load,
      ...attempts,
      '--assert',
      'admitted=0',
      '--assert',
      'faults=0',
      '--json',
      'flood.json',
    );
    expect(ran).toMatchObject({ code: 0 });
    const { counts, measures } = resultOf('flood.json');
    expect(measures).toMatchObject({ attempts: 200, admitted: 0, unanswered: 0 });
    expect(counts.attempts).toMatchObject({
      'bad-token: close 4002': 40,
      'expired: close 4001': 40,
      'origin: close 4003': 40,
      'unknown: close 4004': 40,
    });
    expect(measures.quiet_ratio).toBeGreaterThan(0);
    expect(counts.sent).toBe(150);
  });

  it('does every step of a rolling load, however long one takes, and goes on with the load meanwhile', async () => {
    const load = ['--dialogs', '4', '--rate', '50', '--every', '200ms', '--duration', '400ms'];
    // It ends when the load is long past its duration.
    const slow = 'sleep 1.5';
    const ran = await run('rolling', ...load, '--exec', slow, '--exec', 'true', '--json', 'steps.json');
    expect(ran).toMatchObject({ code: 0 });
    const { steps, counts } = resultOf('steps.json');
    expect(steps).toMatchObject([
      { what: slow, result: 'ok' },
      { what: 'true', result: 'ok' },
    ]);
    expect(counts.sent).toBeGreaterThanOrEqual(50 * 1.7);
  });

  it('sets the exit code by its verdict, unless that is to be tolerated', async () => {
    const load = ['--dialogs', '1', '--rate', '10', '--every', '100ms', '--duration', '200ms', '--exec', 'false'];
    const ran = await run('rolling', ...load);
    expect(ran.out).toContain('VERDICT          1 of 1 steps failed');
    expect(ran.code).toBe(1);
    expect((await run('rolling', ...load, '--tolerate-faults')).code).toBe(0);
    expect((await run('rolling', ...load, '--tolerate-faults', '--assert', 'failed_steps=0')).code).toBe(1);
  });

  it('ends early at an interrupt, with the results so far', async () => {
    const { child, ended } = start(
      'dialogs',
      '--dialogs',
      '4',
      '--rate',
      '50',
      '--duration',
      '60s',
      '--json',
      'cut.json',
    );
    const seen = (text: string): Promise<void> =>
      new Promise((resolve) => {
        child.stderr?.on('data', (chunk: string) => {
          if (chunk.includes(text)) resolve();
        });
      });
    await seen('deliveries/s');
    child.kill('SIGINT');
    const ran = await ended;
    expect(ran.code).toBe(130);
    const result = resultOf('cut.json');
    expect(result).toMatchObject({ interrupted: true, measures: { faults: 0 } });
    expect(result.counts.sent).toBeGreaterThan(0);
  });

  it('has erased the dialogs that it made', async () => {
    const { api } = at(world.nodes, 0);
    const { run: name } = resultOf('dialogs.json');
    for (const n of [0, 19]) expect((await api.get(`/v1/dialogs/load-${name}-${n}`)).status).toBe(404);
  });

  it('says in one line why it can not begin', async () => {
    writeFileSync(join(folder, 'wrong'), 'not-the-key-of-anybody-0123456789');
    const refused = await run('dialogs', '--dialogs', '1', '--api-key-file', 'wrong', '--quietly');
    expect(refused).toEqual({
      code: 1,
      out: '',
      err: 'replyx-load: the internal listener does not accept the API key\n',
    });
    const foreign = await run('idle', '--connections', '2', '--site-secret-file', 'wrong', '--quietly');
    expect(foreign).toEqual({
      code: 1,
      out: '',
      err: 'replyx-load: no connection was admitted: close 4002 (2 times)\n',
    });
    const load = ['--rate', '4', '--duration', '500ms', '--dialogs', '1'];
    const unheard = await run('connects', ...load, '--site-secret-file', 'wrong', '--quietly');
    expect(unheard).toEqual({
      code: 1,
      out: '',
      err: 'replyx-load: no connection was admitted: close 4002 (2 times)\n',
    });
  });

  // Last: it takes a node away.
  it('loses nothing while a node is killed', async () => {
    const [first] = world.processes;
    const load = [
      '--dialogs',
      '10',
      '--rate',
      '100',
      '--every',
      '1s',
      '--duration',
      '3s',
      '--kill',
      String(first?.pid),
    ];
    const ran = await run(
      'rolling',
      ...load,
      '--assert',
      'faults=0',
      '--assert',
      'away=0',
      '--assert',
      'discontinued=0',
      '--json',
      'rolling.json',
    );
    expect(ran).toMatchObject({ code: 0 });
    const { counts, steps, measures } = resultOf('rolling.json');
    expect(steps).toMatchObject([{ result: 'ok' }]);
    expect(counts.closed).toEqual({ '1006': 10 });
    expect(counts.recovered).toBe(10);
    expect(measures).toMatchObject({ acked: 300, delivered: 600 });
    // Of a node that has ended nobody can tell what it used.
    expect(measures).not.toHaveProperty('cpu_us_per_message');
  });
});
