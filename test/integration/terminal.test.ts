import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import {
  freePort,
  guardProcess,
  nowSeconds,
  operatorToken,
  type ProcessEnv,
  runReplyx,
  siteToken,
  TEST_API_KEY,
  TEST_ASSISTANT,
  TEST_SECRET_KEY,
  TEST_SITE_SECRET,
  TEST_TENANT,
  until,
  visitorToken,
  within,
} from '@replyx/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { at, joinOperator, joinVisitor, makeDialog, startWorld, type World } from './world.js';

const COMMAND = fileURLToPath(new URL('../../packages/gateway/bin/replyx.js', import.meta.url));
const MINT = ['--tenant', TEST_TENANT];
const SECRETS = { SECRET_KEY: TEST_SECRET_KEY, SITE_SECRET: TEST_SITE_SECRET };
const KEY = { REPLYX_API_KEY: TEST_API_KEY };

const assertOneLine = (stderr: string, says: RegExp): void => {
  expect(stderr).toMatch(says);
  expect(stderr).toMatch(/^replyx: [^\n]+\n$/);
};

interface Tail {
  /** Lines of standard output, without their ends. */
  readonly lines: string[];
  /** What it said on standard error. */
  readonly said: string[];
  readonly exited: Promise<number | null>;
  interrupt(): void;
}

const tails = new Set<Tail>();

/** Starts `replyx tail` and resolves when it is connected. */
const startTail = async (args: readonly string[], env: ProcessEnv = SECRETS): Promise<Tail> => {
  const child = spawn(process.execPath, [COMMAND, 'tail', ...args], {
    env: Object.fromEntries(Object.entries(env).map(([name, value]) => [name, String(value)])),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  guardProcess(child);
  const tail: Tail = {
    lines: [],
    said: [],
    exited: once(child, 'close').then(([code]) => code as number | null),
    interrupt: () => child.kill('SIGINT'),
  };
  createInterface({ input: child.stdout }).on('line', (line) => tail.lines.push(line));
  createInterface({ input: child.stderr }).on('line', (line) => tail.said.push(line));
  tails.add(tail);
  await until(() => tail.said.some((line) => line.includes('connected to ')), { what: 'tail to connect' });
  return tail;
};

afterEach(() => {
  for (const tail of tails) tail.interrupt();
  tails.clear();
});

const offsetsOf = (tail: Tail): number[] => tail.lines.map((line) => (JSON.parse(line) as { offset: number }).offset);

describe('a dialog from the terminal', () => {
  let world: World;
  let urls: string;
  let internals: string;
  let serial = 0;
  beforeAll(async () => {
    world = await startWorld({ nodes: 2, env: { WS_TOKEN_CLOCK_TOLERANCE_SECONDS: 0, WS_DRAIN_SPREAD_SECONDS: 0 } });
    urls = world.nodes.map(({ wsUrl }) => wsUrl).join(',');
    internals = world.nodes.map(({ internalUrl }) => internalUrl).join(',');
  });
  afterAll(() => world?.close());

  const newDialog = async (): Promise<string> => {
    serial += 1;
    const dialog = `terminal-${serial}`;
    await makeDialog(world, dialog);
    return dialog;
  };
  const publish = (node: number, dialog: string, text: string) =>
    at(world.nodes, node).api.post(`/v1/dialogs/${dialog}/messages`, {
      sender: { role: 'assistant', id: 'bot' },
      text,
    });

  describe('replyx send', () => {
    it('writes as an operator, a visitor and a backend, and prints the offset', async () => {
      const dialog = await newDialog();
      const reader = await joinOperator(at(world.nodes, 1), dialog);
      const asBackend = ['--internal', internals, '--as', 'assistant', '--id', 'bot', '--name', 'Bot'];
      const asVisitor = ['--as', 'visitor', '--assistant', TEST_ASSISTANT, '--sub', 'v'];
      const calls: readonly (readonly [readonly string[], ProcessEnv])[] = [
        [['--url', urls, ...MINT], SECRETS],
        [['--url', urls, ...MINT, ...asVisitor], SECRETS],
        [['--url', urls], { REPLYX_TOKEN: visitorToken({ dialog_id: dialog, sub: 'v' }) }],
        [asBackend, KEY],
      ];
      for (const [index, [args, env]] of calls.entries()) {
        const sent = await runReplyx(['send', dialog, `text ${index}`, ...args], env);
        expect(sent).toEqual({ code: 0, stdout: `${index + 1}\n`, stderr: '' });
      }
      await until(() => reader.messages().length === calls.length, { what: 'every message' });
      expect(reader.messages().map(({ sender, text }) => ({ sender, text }))).toEqual([
        { sender: { role: 'manager', id: expect.any(String) }, text: 'text 0' },
        { sender: { role: 'user', id: 'v' }, text: 'text 1' },
        { sender: { role: 'user', id: 'v' }, text: 'text 2' },
        { sender: { role: 'assistant', id: 'bot', name: 'Bot' }, text: 'text 3' },
      ]);
      await reader.close();
    });

    it('makes one message of one id, over a socket and as a backend', async () => {
      const dialog = await newDialog();
      const ways: readonly (readonly [readonly string[], ProcessEnv])[] = [
        [['--url', urls, ...MINT], SECRETS],
        [['--internal', internals, '--as', 'system', '--id', 's'], KEY],
      ];
      for (const [index, [args, env]] of ways.entries()) {
        const call = ['send', dialog, 'once', '--id-key', 'k', '--json', ...args];
        const printed = [await runReplyx(call, env), await runReplyx(call, env)].map(({ stdout }) =>
          JSON.parse(stdout),
        );
        const offset = index + 1;
        expect(printed).toEqual([
          { id: 'k', track: 'main', offset, duplicate: false },
          { id: 'k', track: 'main', offset, duplicate: true },
        ]);
      }
    });

    it('writes notes, which visitors are refused', async () => {
      const dialog = await newDialog();
      expect(await runReplyx(['send', dialog, 'n', '--note', '--url', urls, ...MINT], SECRETS)).toMatchObject({
        code: 0,
        stdout: '1\n',
      });
      const visitor = { REPLYX_TOKEN: visitorToken({ dialog_id: dialog }) };
      const refused = await runReplyx(['send', dialog, 'n', '--note', '--url', urls], visitor);
      expect(refused).toMatchObject({ code: 1, stdout: '' });
      assertOneLine(refused.stderr, /refused: not_allowed/);
    });

    it('goes on to a node that answers, and waits for one that comes back', async () => {
      const dialog = await newDialog();
      const nowhere = await freePort();
      const lists = [`ws://127.0.0.1:${nowhere},${urls}`, `http://127.0.0.1:${nowhere},${internals}`] as const;
      const ways: readonly (readonly [readonly string[], ProcessEnv])[] = [
        [['--url', lists[0], ...MINT], SECRETS],
        [['--internal', lists[1], '--as', 'system', '--id', 's'], KEY],
      ];
      for (const [index, [args, env]] of ways.entries()) {
        expect(await runReplyx(['send', dialog, 'x', ...args], env)).toMatchObject({
          code: 0,
          stdout: `${index + 1}\n`,
        });
      }
      const [process] = world.processes;
      await process?.kill();
      const sending = runReplyx(
        ['send', dialog, 'late', '--url', at(world.nodes, 0).wsUrl, '--timeout', '60', ...MINT],
        SECRETS,
      );
      await process?.restart('kill');
      expect(await sending).toMatchObject({ code: 0, stdout: '3\n' });
    });

    it('waits out a Redis that is away, and makes one message of it', async () => {
      const dialog = await newDialog();
      await world.redis?.pause();
      const ways: readonly (readonly [readonly string[], ProcessEnv])[] = [
        [['--url', urls, ...MINT], SECRETS],
        [['--internal', internals, '--as', 'system', '--id', 's'], KEY],
      ];
      const sending = ways.map(([args, env]) => runReplyx(['send', dialog, 'x', '--timeout', '50', ...args], env));
      // Long enough away for a node to say so.
      await until(async () => (await publish(0, dialog, 'probe')).status === 503, {
        what: 'the node to answer that Redis is away',
      });
      await world.redis?.resume();
      for (const sent of await Promise.all(sending)) expect(sent).toMatchObject({ code: 0, stderr: '' });
      const { body } = await at(world.nodes, 0).api.get(`/v1/dialogs/${dialog}/messages`);
      const texts = (body.messages as { text: string }[]).map(({ text }) => text);
      expect(texts.filter((text) => text === 'x')).toHaveLength(2);
    });

    it('says why it gives up', async () => {
      const dialog = await newDialog();
      const nowhere = await freePort();
      const rows: readonly (readonly [RegExp, readonly string[], ProcessEnv])[] = [
        [
          /not acknowledged within 1 s: ws:\/\/127\.0\.0\.1:\d+: connection refused$/m,
          ['--url', `ws://127.0.0.1:${nowhere}`, '--timeout', '1', ...MINT],
          SECRETS,
        ],
        [/refused: .*4004 NOT_FOUND/, ['--url', urls, ...MINT.slice(0, 1), 'another'], SECRETS],
        [/refused: .*4002 AUTH_FAILED/, ['--url', urls], { REPLYX_TOKEN: operatorToken({}, { secret: 'x' }) }],
        [
          /refused: .*unauthorized/,
          ['--internal', internals, '--as', 'system', '--id', 's'],
          { REPLYX_API_KEY: 'wrong-key' },
        ],
        [
          /connection refused$/m,
          ['--internal', `http://127.0.0.1:${nowhere}`, '--timeout', '1', '--as', 'system', '--id', 's'],
          KEY,
        ],
      ];
      for (const [says, args, env] of rows) {
        const { code, stdout, stderr } = await runReplyx(['send', dialog, 'x', ...args], env);
        expect([args, code, stdout]).toEqual([args, 1, '']);
        assertOneLine(stderr, says);
        for (const secret of [env['REPLYX_TOKEN'], env['REPLYX_API_KEY'], TEST_API_KEY])
          if (secret !== undefined) expect(stderr).not.toContain(secret);
      }
    });
  });

  describe('replyx tail', () => {
    it('prints what is published, by whom, and ends well on Ctrl-C', async () => {
      const dialog = await newDialog();
      const tail = await startTail([dialog, '--url', urls, ...MINT]);
      await publish(0, dialog, 'How can I help?');
      await publish(1, dialog, 'two\nlines');
      await until(() => tail.lines.length === 2, { what: 'both messages' });
      expect(tail.lines).toEqual(['     1  assistant bot: How can I help?', '     2  assistant bot: two\\nlines']);
      tail.interrupt();
      expect(await tail.exited).toBe(0);
      expect(tail.said).toEqual([
        expect.stringMatching(/^replyx: connected to ws:\/\/.* as manager, messages from .*:0 on$/),
      ]);
    });

    it('shows a hostile text and does not obey it', async () => {
      const dialog = await newDialog();
      const hostile = 'a\u001b]0;title\u0007\u001b[2J\u009b31m\r\u202etxt.exe\u2028end';
      const plain = await startTail([dialog, '--url', urls, ...MINT]);
      const json = await startTail([dialog, '--url', urls, '--json', ...MINT]);
      const visitor = await joinVisitor(at(world.nodes, 0), dialog, { claims: { name: 'Eve' } });
      await visitor.publish(hostile);
      await until(() => plain.lines.length + json.lines.length === 2, { what: 'the message on both' });
      expect(plain.lines[0]).toContain(
        '(Eve): a\\u001b]0;title\\u0007\\u001b[2J\\u009b31m\\u000d\\u202etxt.exe\\u2028end',
      );
      for (const line of [...plain.lines, ...json.lines]) expect(line).not.toMatch(/[\p{Cc}\u202e\u2028]/u);
      expect(JSON.parse(json.lines[0] ?? '')).toMatchObject({ text: hostile, offset: 1, track: 'main' });
      await visitor.close();
    });

    it('shows notes to operators who ask for them', async () => {
      const dialog = await newDialog();
      const tail = await startTail([dialog, '--url', urls, '--notes', '--json', ...MINT]);
      const without = await startTail([dialog, '--url', urls, '--json', ...MINT]);
      const operator = await joinOperator(at(world.nodes, 1), dialog);
      await operator.publish('between us', { type: 'note' });
      await operator.publish('for all');
      await until(() => tail.lines.length === 2 && without.lines.length === 1, { what: 'note and message' });
      const printed = tail.lines.map((line) => JSON.parse(line) as { type: string; text: string });
      expect(printed.map(({ type, text }) => `${type} ${text}`).sort()).toEqual(['message for all', 'note between us']);
      await operator.close();
    });

    it('starts from a position, and says when it can not', async () => {
      const dialog = await newDialog();
      const { body } = await publish(0, dialog, 'one');
      await publish(0, dialog, 'two');
      const tail = await startTail([dialog, '--url', urls, '--json', '--from', `${body.epoch}:0`, ...MINT]);
      await until(() => tail.lines.length === 2, { what: 'both messages' });
      expect(tail.said[0]).toMatch(/recovered 2 messages$/);
      expect(offsetsOf(tail)).toEqual([1, 2]);
      const lost = await startTail([dialog, '--url', urls, '--from', 'another:1', ...MINT]);
      expect(lost.said[0]).toMatch(/not continuous: those between another:1 and .*:2 are not shown$/);
    });

    it('outlives its nodes, killed and drained: every message once, in order', async () => {
      const dialog = await newDialog();
      const tail = await startTail([dialog, '--url', urls, '--json', ...MINT]);
      let published = 0;
      const burst = async (node: number): Promise<void> => {
        for (let i = 0; i < 50; i += 1) {
          const answer = await publish(node, dialog, `text ${published}`);
          expect(answer.status).toBe(201);
          published += 1;
        }
      };
      const all = () => until(() => tail.lines.length >= published, { what: 'every message' });
      const [first, second] = world.processes;

      await burst(0);
      await all();
      const dying = burst(1);
      await first?.kill();
      await dying;
      await all();
      await first?.restart('kill');
      const leaving = burst(0);
      await second?.restart('stop');
      await leaving;
      await all();

      expect(offsetsOf(tail)).toEqual(Array.from({ length: 150 }, (_, i) => i + 1));
      const said = tail.said.join('\n');
      expect(said).toMatch(/lost ws:\/\/.* \((the connection was cut|connection reset)\); trying ws:/);
      expect(said).toMatch(/lost ws:\/\/.* \(1012 SERVICE_RESTART: The node is being drained\.\); trying ws:/);
      expect(said).toMatch(/reconnected to ws:\/\/.*, recovered \d+ messages?/);
    });

    it('takes the next token from its file when the first expires', async () => {
      const dialog = await newDialog();
      const folder = mkdtempSync(join(tmpdir(), 'replyx-tail-'));
      const file = join(folder, 'token');
      writeFileSync(file, operatorToken({ exp: nowSeconds() + 4 }));
      const tail = await startTail([dialog, '--url', urls, '--json'], { REPLYX_TOKEN_FILE: file });
      writeFileSync(file, operatorToken());
      await until(() => tail.said.some((line) => line.includes('reconnected')), { what: 'the new token to be used' });
      expect(tail.said.join('\n')).toContain('(4001 AUTH_EXPIRED: A genuine token has expired.)');
      await publish(0, dialog, 'after');
      await until(() => tail.lines.length === 1, { what: 'the message' });
      rmSync(folder, { recursive: true });
    });

    it('ends when it is refused for good, with the meaning of the code', async () => {
      const dialog = await newDialog();
      const nowhere = `ws://127.0.0.1:${await freePort()}`;
      const rows: readonly (readonly [RegExp, readonly string[], ProcessEnv])[] = [
        [
          /refused for good: 4002 AUTH_FAILED: The token is missing, malformed or not genuine\.$/m,
          ['--url', urls],
          { REPLYX_TOKEN: operatorToken({}, { secret: 'x' }) },
        ],
        [
          /refused for good: 4003 FORBIDDEN_DOMAIN/,
          ['--url', urls, '--origin', 'https://foreign.example'],
          { REPLYX_TOKEN: visitorToken({ dialog_id: dialog }) },
        ],
        [/refused for good: 4004 NOT_FOUND/, ['--url', urls], { REPLYX_TOKEN: visitorToken({ dialog_id: 'another' }) }],
        [
          /refused for good: 4001 AUTH_EXPIRED/,
          ['--url', urls],
          { REPLYX_TOKEN: operatorToken({ exp: nowSeconds() - 60 }) },
        ],
        [/HTTP 404/, ['--url', `${at(world.nodes, 0).wsUrl}/elsewhere`, ...MINT], SECRETS],
        [
          /no node can be reached: ws:\/\/127\.0\.0\.1:\d+ \(connection refused\)$/m,
          ['--url', nowhere, ...MINT],
          SECRETS,
        ],
        [/the token is not a JWT/, ['--url', urls], { REPLYX_TOKEN: 'not a token' }],
        [/a site token opens no socket/, ['--url', urls], { REPLYX_TOKEN: siteToken() }],
        [/there is no token/, ['--url', urls], {}],
        [/SECRET_KEY is not set/, ['--url', urls, ...MINT], {}],
        [/CONFIG_INVALID SECRET_KEY: is shorter than 32 bytes/, ['--url', urls, ...MINT], { SECRET_KEY: 'short' }],
        [/the file of REPLYX_TOKEN_FILE can't be read/, ['--url', urls], { REPLYX_TOKEN_FILE: '/nowhere' }],
      ];
      for (const [says, args, env] of rows) {
        const { code, stdout, stderr } = await runReplyx(['tail', dialog, ...args], env);
        expect([String(says), code, stdout]).toEqual([String(says), 1, '']);
        assertOneLine(stderr, says);
        if (env['REPLYX_TOKEN'] !== undefined) expect(stderr).not.toContain(env['REPLYX_TOKEN']);
      }
    });
  });

  describe('replyx status', () => {
    it('shows the nodes and whether those that were asked are ready', async () => {
      const { code, stdout, stderr } = await runReplyx(['status', '--internal', internals], KEY);
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout).toMatch(/^node +version +up since +connections +dialogs +subscriptions +lag +draining\n/);
      expect(stdout).toMatch(/^node-1 +\d+\.\d+\.\d+ +\d{4}-\d\d-\d\dT[\d:]+Z +\d+ +\d+ +\d+ +[\d.]+ ms +no$/m);
      expect(stdout).toMatch(/^node-2 /m);
      for (const { internalUrl } of world.nodes) expect(stdout).toContain(`${internalUrl}  ready\n`);
      const json = await runReplyx(['status', '--internal', internals, '--json'], KEY);
      const printed = JSON.parse(json.stdout);
      expect(printed).toMatchObject({
        ok: true,
        asked: [
          { ready: true, reasons: [] },
          { ready: true, reasons: [] },
        ],
      });
      expect(new Set(printed.nodes.map(({ id }: { id: string }) => id))).toEqual(new Set(['node-1', 'node-2']));
    });

    it('fails in one line when a node does not answer, or not to this key', async () => {
      const nowhere = `http://127.0.0.1:${await freePort()}`;
      const away = await runReplyx(['status', '--internal', `${nowhere},${internals}`], KEY);
      expect(away).toMatchObject({ code: 1, stdout: expect.stringContaining('node-1') });
      assertOneLine(away.stderr, new RegExp(`^replyx: ${nowhere} can't be reached \\(connection refused\\)$`, 'm'));
      const key = await runReplyx(['status', '--internal', internals.split(',')[0] ?? ''], {
        REPLYX_API_KEY: 'wrong-key',
      });
      expect(key).toMatchObject({ code: 1, stdout: '' });
      assertOneLine(key.stderr, /does not accept the API key$/m);
      expect(key.stderr).not.toContain('wrong-key');
      const json = await runReplyx(['status', '--json', '--internal', nowhere], KEY);
      expect(JSON.parse(json.stdout)).toMatchObject({ ok: false, asked: [{ ready: false }], nodes: [] });
      expect(json.code).toBe(1);
    });

    it('fails when a node is not ready, and says why', async () => {
      const lonely = await startWorld({ nodes: 1 });
      try {
        await lonely.redis?.kill();
        const ran = await until(
          async () => {
            const status = await runReplyx(['status', '--internal', at(lonely.nodes, 0).internalUrl], KEY);
            return status.code === 1 && status;
          },
          { what: 'the node to turn not ready' },
        );
        assertOneLine(ran.stderr, /is not ready: \w+/);
      } finally {
        await lonely.close();
      }
    });
  });
});

describe('mistakes on the command line', () => {
  const rows: readonly (readonly [RegExp, readonly string[]])[] = [
    [/Unknown option '--fast'/, ['tail', 'd', '--fast']],
    [/Unknown option '--fast'/, ['send', 'd', 'x', '--fast']],
    [/Unknown option '--fast'/, ['status', '--fast']],
    [/tail takes the id of one dialog/, ['tail']],
    [/tail takes the id of one dialog/, ['tail', 'a/b']],
    [/--url takes up to 16 addresses ws:/, ['tail', 'd', '--url', 'http://127.0.0.1:1']],
    [/--url takes up to 16 addresses ws:/, ['tail', 'd', '--url', 'ws://me:hunter2@127.0.0.1:1']],
    [/--from takes epoch:offset/, ['tail', 'd', '--from', '7']],
    [/--sub goes with --tenant/, ['tail', 'd', '--sub', 's']],
    [/--as takes operator or visitor/, ['tail', 'd', '--tenant', 't', '--as', 'king']],
    [/a visitor is minted with --assistant/, ['tail', 'd', '--tenant', 't', '--as', 'visitor']],
    [/send takes the id of a dialog and one text/, ['send', 'd']],
    [/send takes the id of a dialog and one text/, ['send', 'd', 'two', 'words']],
    [/the text is empty/, ['send', 'd', '']],
    [/--timeout takes 1 to 3600 seconds/, ['send', 'd', 'x', '--timeout', 'soon']],
    [/--id-key takes 1 to 64 characters/, ['send', 'd', 'x', '--id-key', 'x'.repeat(65)]],
    [/--as takes operator, visitor, assistant, manager or system/, ['send', 'd', 'x', '--as', 'king']],
    [/--as system needs --id/, ['send', 'd', 'x', '--as', 'system']],
    [/--token does not go with --as system/, ['send', 'd', 'x', '--as', 'system', '--token', 'hunter2']],
    [/--key goes with --as/, ['send', 'd', 'x', '--key', 'hunter2']],
    [/--internal takes up to 16 addresses http:/, ['status', '--internal', 'ws://127.0.0.1:1', '--key', 'hunter2']],
  ];
  it.each(rows)('%s', async (says, args) => {
    const { code, stdout, stderr } = await runReplyx(args);
    expect([code, stdout]).toEqual([2, '']);
    assertOneLine(stderr, says);
    expect(stderr).not.toContain('hunter2');
  });

  it.each(['send', 'tail', 'status'])('%s --help shows usage, examples and exit codes', async (verb) => {
    const { code, stdout, stderr } = await runReplyx([verb, '--help']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(new RegExp(`^Usage: replyx ${verb} [\\s\\S]*Examples:[\\s\\S]*Exit code: 0 `));
  });

  it('a text that looks like an option follows --', async () => {
    const nowhere = `ws://127.0.0.1:${await freePort()}`;
    const ran = await runReplyx(['send', 'd', '--url', nowhere, '--timeout', '1', ...MINT, '--', '--help'], SECRETS);
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    assertOneLine(ran.stderr, /connection refused$/m);
  });
});

/** Answers as a Redis of that version would: INFO with it, everything else with OK. */
const fakeRedis = async (version: string): Promise<{ url: string; server: Server }> => {
  const info = `# Server\r\nredis_version:${version}\r\nrun_id:x\r\n# Replication\r\nrole:master\r\nloading:0\r\n`;
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    let received = '';
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      for (;;) {
        const call = /^\*(\d+)\r\n/.exec(received);
        const whole = new RegExp(`^\\*\\d+\\r\\n(?:\\$\\d+\\r\\n[^\\r]*\\r\\n){${call?.[1] ?? 0}}`).exec(received);
        if (call === null || whole === null) return;
        received = received.slice(whole[0].length);
        socket.write(/\r\ninfo\r\n/i.test(whole[0]) ? `$${info.length}\r\n${info}\r\n` : '+OK\r\n');
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `redis://127.0.0.1:${(server.address() as { port: number }).port}`, server };
};

describe('mistakes at a start', () => {
  it('a Redis of an unsupported version', async () => {
    const { url, server } = await fakeRedis('6.2.0');
    const { code, stderr } = await runReplyx(['serve'], {
      ...SECRETS,
      API_KEYS: TEST_API_KEY,
      PORT: 0,
      INTERNAL_PORT: 0,
      REDIS_URL: url,
    });
    server.close();
    expect(code).toBe(1);
    assertOneLine(stderr, /Redis 6\.2\.0 is too old: 7\.0 or newer is needed/);
  });

  it('a command that is not built', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'replyx-unbuilt-'));
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    cpSync(COMMAND, join(folder, 'bin/replyx.js'));
    const child = spawn(process.execPath, [join(folder, 'bin/replyx.js'), 'status'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    guardProcess(child);
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const [code] = await within(once(child, 'close'), 30_000, () => 'it did not end');
    rmSync(folder, { recursive: true });
    expect(code).toBe(1);
    assertOneLine(stderr, /REPLYX is not built: run npm run build/);
  });
});
