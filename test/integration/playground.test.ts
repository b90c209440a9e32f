import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type IncomingHttpHeaders, request } from 'node:http';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { connect, freePort, guardProcess, startRedis, type TestClient, until } from '@replyx/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { childrenOf, childWith, isAlive, startCluster } from './processes.js';
import { at } from './world.js';

const COMMAND = fileURLToPath(new URL('../../packages/gateway/bin/replyx.js', import.meta.url));
const BACKEND = fileURLToPath(new URL('../../deploy/local/example-backend.mjs', import.meta.url));

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** With `node:http`, since fetch sets `Host` and `Sec-Fetch-*` itself. */
const ask = (url: string, method = 'GET', headers: Record<string, string> = {}): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const outgoing = request(url, { method, headers }, (response) => {
      let text = '';
      response.on('data', (data: Buffer) => {
        text += data.toString();
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    outgoing.on('error', reject);
    outgoing.end();
  });

interface State {
  readonly control_key: string;
  readonly dialog: string;
  readonly tokens: { readonly visitor: string; readonly operator: string };
  readonly nodes: readonly { id: string; port: number; internal_port: number; state: string }[];
}

interface Local {
  readonly page: string;
  readonly origin: string;
  readonly apiKey: string;
  readonly pid: number;
  state(): Promise<State>;
  control(path: string, headers?: Record<string, string>): Promise<Answer>;
  visitor(node: number, from?: TestClient): Promise<TestClient>;
  operator(node: number): Promise<TestClient>;
  stop(): Promise<number>;
}

const startLocal = async (env: Record<string, string>, args: readonly string[] = []): Promise<Local> => {
  const options = ['--port', String(await freePort()), '--page-port', String(await freePort()), ...args];
  const { child, started } = await startCluster<{ page: string; api_key: string }>(options, env);
  const { page, api_key: apiKey } = started;
  const origin = new URL(page).origin;
  const state = async () => JSON.parse((await ask(`${page}state`)).text) as State;
  const { tokens, dialog, control_key: key } = await state();
  const socket = async (node: number, path: string) => `ws://127.0.0.1:${at((await state()).nodes, node).port}${path}`;
  return {
    page,
    origin,
    apiKey,
    pid: child.pid ?? 0,
    state,
    control: (path, headers = { Origin: origin, 'X-Control-Key': key }) =>
      ask(`${page}control/nodes/${path}`, 'POST', headers),
    visitor: async (node, from) =>
      connect({
        url: await socket(node, `/ws/site/dialogs/${dialog}`),
        token: tokens.visitor,
        origin,
        ...(from?.position === undefined ? {} : { position: from.position }),
      }),
    operator: async (node) =>
      connect({ url: await socket(node, `/ws/dialogs/${dialog}`), token: tokens.operator, origin }),
    stop: async () => {
      const exited = once(child, 'exit');
      process.kill(-(child.pid ?? 0), 'SIGINT');
      return (await exited)[0] as number;
    },
  };
};

describe('the page is for browsers on this machine', () => {
  let local: Local;
  beforeAll(async () => {
    local = await startLocal({ PATH: '/nowhere' }, ['--nodes', '1']);
  });
  afterAll(async () => {
    await local.stop();
  });

  it('serves its files under a strict policy', async () => {
    for (const [path, type] of [
      ['', 'text/html'],
      ['page.css', 'text/css'],
      ['page.js', 'text/javascript'],
      ['pane.js', 'text/javascript'],
      ['client.js', 'text/javascript'],
      ['icon.svg', 'image/svg+xml'],
    ]) {
      const { status, headers } = await ask(`${local.page}${path}`);
      expect([path, status]).toEqual([path, 200]);
      expect(headers['content-type']).toMatch(type ?? '');
      expect(headers['x-content-type-options']).toBe('nosniff');
      expect(headers['content-security-policy']).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self'; /);
      expect(headers).not.toHaveProperty('access-control-allow-origin');
    }
    expect((await ask(`${local.page}..%2fpackage.json`)).status).toBe(404);
  });

  const port = () => new URL(local.page).port;
  it.each<[string, () => Record<string, string>, number]>([
    ['by its name and port', () => ({ Host: `localhost:${port()}` }), 200],
    ['by a name of another site', () => ({ Host: `evil.example:${port()}` }), 421],
    ['by another port', () => ({ Host: '127.0.0.1:1' }), 421],
    ['without a port', () => ({ Host: '127.0.0.1' }), 421],
    ['from another site', () => ({ 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors' }), 403],
    ['from another port of this host', () => ({ 'Sec-Fetch-Site': 'same-site', 'Sec-Fetch-Mode': 'cors' }), 403],
    ['from a link', () => ({ 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate' }), 200],
    ['from itself', () => ({ 'Sec-Fetch-Site': 'same-origin', 'Sec-Fetch-Mode': 'cors' }), 200],
  ])('read %s', async (_name, headers, status) => {
    expect((await ask(`${local.page}state`, 'GET', headers())).status).toBe(status);
  });

  it('controls need the key of this start, and our own origin', async () => {
    const { control_key: key } = await local.state();
    const refused: Record<string, string>[] = [
      {},
      { 'X-Control-Key': 'guess' },
      { 'X-Control-Key': `${key.slice(1)}x` },
      { 'X-Control-Key': key, Origin: 'http://evil.example' },
      { 'X-Control-Key': key, Origin: 'null' },
      { 'X-Control-Key': key, 'Sec-Fetch-Site': 'same-site' },
      { 'X-Control-Key': key, 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate' },
    ];
    for (const headers of refused) expect((await local.control('node-1/kill', headers)).status).toBe(403);
    expect((await local.control('node-1/kill', { 'X-Control-Key': key, Host: `evil.example:${port()}` })).status).toBe(
      421,
    );
    expect((await local.control('node-9/kill')).status).toBe(404);
    expect((await local.control('node-1/dance')).status).toBe(405);
    expect((await ask(`${local.page}control/nodes/node-1/kill`)).status).toBe(405);
    expect((await local.state()).nodes).toMatchObject([{ id: 'node-1', state: 'up' }]);
  });

  it('another port is taken where the wanted one is not free, and --no-page has none', async () => {
    const second = await startLocal({ PATH: '/nowhere' }, ['--nodes', '1', '--page-port', String(port())]);
    expect(second.page).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
    expect(second.page).not.toBe(local.page);
    expect(await second.stop()).toBe(0);
    const child = spawn(
      process.execPath,
      [COMMAND, 'cluster', '--json', '--nodes', '1', '--no-page', '--port', String(await freePort())],
      { env: { PATH: '/nowhere' }, stdio: ['ignore', 'pipe', 'inherit'], detached: true },
    );
    guardProcess(child);
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    expect(JSON.parse(line)).toMatchObject({ page: null, nodes: [{ id: 'node-1' }] });
    const exited = once(child, 'exit');
    child.kill('SIGINT');
    expect((await exited)[0]).toBe(0);
  });
});

const modes: readonly [string, () => Promise<{ env: Record<string, string>; done: () => Promise<unknown> }>][] = [
  ['in memory', async () => ({ env: { PATH: '/nowhere' }, done: async () => {} })],
  [
    'on Redis',
    async () => {
      const redis = await startRedis();
      return { env: { PATH: '/nowhere', REDIS_URL: redis.url }, done: () => redis.kill() };
    },
  ],
];

describe.each(modes)('a cluster %s', (_name, make) => {
  let local: Local;
  let done: () => Promise<unknown>;
  beforeAll(async () => {
    const world = await make();
    done = world.done;
    local = await startLocal({ ...world.env, WS_NODE_TTL_SECONDS: '3' });
  });
  afterAll(async () => {
    await local.stop();
    await done();
  });

  it('kills a node without a close frame, whose client resumes elsewhere, and starts it again on its ports', async () => {
    const before = await local.state();
    const operator = await local.operator(2);
    const first = await local.visitor(0);
    await first.publish('before');
    await until(() => first.messages().length === 1, { what: 'the message to be back' });

    expect((await local.control('node-1/kill')).status).toBe(200);
    expect(await first.closed).toMatchObject({ code: 1006 });
    expect((await first.closed).disconnectFrame).toBeUndefined();
    expect((await local.state()).nodes.map(({ state }) => state)).toEqual(['down', 'up', 'up']);
    expect((await local.control('node-1/kill')).status).toBe(409);

    await operator.publish('while it is dead');
    const resumed = await local.visitor(1, first);
    expect(await resumed.waitFor('connected')).toMatchObject({ recovered: true });
    expect(await resumed.waitFor('message')).toMatchObject({ text: 'while it is dead', offset: 2 });

    expect((await local.control('node-1/start')).status).toBe(200);
    expect((await local.control('node-1/start')).status).toBe(200);
    expect((await local.state()).nodes).toEqual(before.nodes);
    const again = await local.visitor(0, first);
    expect(await again.waitFor('connected')).toMatchObject({ recovered: true });
    expect(await again.waitFor('message')).toMatchObject({ text: 'while it is dead', offset: 2 });
    await resumed.publish('to both');
    expect(await again.waitFor(({ text }) => text === 'to both')).toMatchObject({ offset: 3 });
    expect(await operator.waitFor(({ text }) => text === 'to both')).toMatchObject({ offset: 3 });
    await Promise.all([operator, resumed, again].map((client) => client.close()));
  });

  it('leaves what a killed node held to its lease: its visitor leaves when that has run out', async () => {
    const operator = await local.operator(1);
    const visitor = await local.visitor(2);
    await operator.waitFor(
      ({ type, users }) => type === 'presence' && (users as { role: string }[]).some(({ role }) => role === 'user'),
    );
    const killedMs = Date.now();
    await local.control('node-3/kill');
    await visitor.closed;
    await operator.waitFor(({ type, state }) => type === 'presence' && state === 'leave');
    expect(Date.now() - killedMs).toBeGreaterThan(1_000);
    await local.control('node-3/start');
    await operator.close();
  });

  it('survives the death of all nodes at once', async () => {
    const visitor = await local.visitor(0);
    await visitor.publish('still here');
    for (const id of [1, 2, 3]) await local.control(`node-${id}/kill`);
    await visitor.closed;
    for (const id of [3, 2, 1]) expect((await local.control(`node-${id}/start`)).status).toBe(200);
    const resumed = await local.visitor(2, visitor);
    expect(await resumed.waitFor('connected')).toMatchObject({ recovered: true });
    await resumed.close();
  });
});

describe('what ends by itself is started again', () => {
  it('a node whose process dies comes back on its ports', async () => {
    const redis = await startRedis();
    const local = await startLocal({ PATH: '/nowhere', REDIS_URL: redis.url }, ['--nodes', '2']);
    const before = await local.state();
    const visitor = await local.visitor(0);
    process.kill(childWith(local.pid, 'NODE_ID', 'node-1'), 'SIGKILL');
    await visitor.closed;
    const isUp = async () => at((await local.state()).nodes, 0).state === 'up';
    await until(async () => !(await isUp()), { what: 'the death of node-1 to be known' });
    await until(isUp, { what: 'node-1 to be back' });
    expect((await local.state()).nodes).toEqual(before.nodes);
    const again = await local.visitor(0, visitor);
    expect(await again.waitFor('connected')).toMatchObject({ recovered: true });
    await again.close();
    expect(await local.stop()).toBe(0);
    await redis.kill();
  });
});

describe('the example backend', () => {
  it('answers each pause once, over the death of the node that it uses and over its own', async () => {
    const local = await startLocal({ PATH: '/nowhere' }, ['--backend', BACKEND]);
    const { dialog } = await local.state();
    const visitor = await local.visitor(1);
    const answers = () => visitor.messages().filter(({ sender }) => (sender as { role: string }).role === 'assistant');
    await visitor.publish('hello');
    await visitor.waitFor(({ type, state }) => type === 'typing' && state === 'start');
    await until(() => answers().length === 1, { what: 'the first answer' });

    await local.control('node-1/kill');
    await visitor.publish('and now?');
    await until(() => answers().length === 2, { what: 'the answer over another node' });

    process.kill(childWith(local.pid, 'REPLYX_DIALOG', dialog), 'SIGKILL');
    await visitor.publish('one');
    await visitor.publish('two');
    await until(() => answers().length === 3, { what: 'the answer of the backend that was started again' });
    expect(answers().map(({ text }) => text)).toEqual([
      expect.stringMatching(/^Hello!/),
      expect.stringMatching(/and now\?/),
      expect.stringMatching(/two/),
    ]);
    const { internal_port } = at((await local.state()).nodes, 1);
    const history = (await (
      await fetch(`http://127.0.0.1:${internal_port}/v1/dialogs/${dialog}/messages`, {
        headers: { Authorization: `Bearer ${local.apiKey}` },
      })
    ).json()) as { messages: { meta?: { answers?: number } }[] };
    expect(history.messages.flatMap(({ meta }) => meta?.answers ?? [])).toEqual([1, 3, 6]);
    await visitor.close();
    const children = childrenOf(local.pid);
    expect(children.length).toBeGreaterThan(0);
    expect(await local.stop()).toBe(0);
    await until(() => children.every((pid) => !isAlive(pid)), { what: 'the backend to be gone' });
  });
});
