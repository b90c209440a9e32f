import { dial, seededRandom, type TestClient, until } from '@replyx/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asVisitor, at, joinOperator, joinVisitor, makeDialog, startWorld, type World } from './world.js';

let world: World;
let bystander: TestClient;
beforeAll(async () => {
  world = await startWorld({ nodes: 1 });
  await makeDialog(world, 'd');
  await makeDialog(world, 'other');
  bystander = await joinOperator(at(world.nodes, 0), 'other');
});
afterAll(async () => {
  await world?.close();
});

/** The process lives, and whoever is in another dialog is served. */
const assertUndisturbed = async (): Promise<void> => {
  expect(at(world.processes, 0).running).toBe(true);
  expect(await bystander.publish('still served')).toMatchObject({ type: 'ack' });
  expect(
    at(world.processes, 0)
      .logEntries()
      .filter((entry) => entry['event'] === 'bug'),
  ).toEqual([]);
};

const nested = (open: string, close: string, depth: number) => open.repeat(depth) + close.repeat(depth);
const message = (extra: string) => `{"type":"message","id":"x1","text":"hi"${extra}}`;

/** Each is answered by an error frame with this code; the connection goes on. */
const refused: readonly [string, string | Uint8Array, string?][] = [
  ['an empty frame', ''],
  ['white space', '   '],
  ['bad JSON', '{"type":"message",'],
  ['a JSON string', '"message"'],
  ['a JSON array', '[]'],
  ['null', 'null'],
  ['no type', '{"id":"a","text":"hi"}'],
  ['an unknown type', '{"type":"subscribe","id":"a"}'],
  ['a type from the prototype', '{"type":"constructor","id":"a"}'],
  ['a server type', '{"type":"connected","id":"a"}'],
  ['an unknown field', message(',"extra":1')],
  ['a claimed sender', message(',"sender":{"role":"manager","id":"boss"}')],
  ['a claimed offset', message(',"offset":1')],
  ['a claimed timestamp', message(',"timestamp":1')],
  ['a repeated field', '{"type":"message","id":"x1","text":"hi","text":"ho"}'],
  ['a field repeated by an escape', '{"type":"message","id":"x1","text":"hi","te\\u0078t":"ho"}'],
  ['a field repeated in meta', message(',"meta":{"a":1,"a":2}')],
  ['__proto__', message(',"__proto__":{"role":"manager"}')],
  ['deep nesting in meta', message(`,"meta":${nested('{"a":', '}', 30).replace(/\}(?=\})/, '1}')}`)],
  ['16,000 brackets', nested('[', ']', 16_000)],
  ['16,000 open brackets', '['.repeat(16_000)],
  ['meta that is a list', message(',"meta":[]')],
  ['meta over 4 KiB', message(`,"meta":{"a":"${'x'.repeat(4_100)}"}`)],
  ['an empty text', '{"type":"message","id":"x1","text":""}'],
  ['a text over 10,000 units', `{"type":"message","id":"x1","text":"${'x'.repeat(10_001)}"}`],
  ['a text that is a number', '{"type":"message","id":"x1","text":5}'],
  ['a lone surrogate', '{"type":"message","id":"x1","text":"\\ud800"}'],
  ['an id over 64', `{"type":"message","id":"${'i'.repeat(65)}","text":"hi"}`],
  ['an id with a line feed', '{"type":"message","id":"a\\nb","text":"hi"}'],
  ['no id', '{"type":"message","text":"hi"}'],
  ['before and after', '{"type":"history","id":"h","before":2,"after":1}'],
  ['a limit over 100', '{"type":"history","id":"h","limit":101}'],
  ['a negative offset', '{"type":"read","offset":-1}'],
  ['a fractional offset', '{"type":"read","offset":1.5}'],
  ['a huge offset', '{"type":"read","offset":1e300}'],
  ['a binary frame', new Uint8Array([123, 125])],
  ['a note of a visitor', '{"type":"note","id":"n","text":"hi"}', 'not_allowed'],
];

describe('frames that are not of the contract', () => {
  it.each(refused)(
    '%s is answered with an error and the connection goes on',
    async (_name, raw, code = 'bad_frame') => {
      const client = await joinVisitor(at(world.nodes, 0), 'd');
      client.sendRaw(raw);
      const error = await client.waitFor('error');
      expect(error).toMatchObject({ code, temporary: false });
      // What was refused is not repeated to its sender.
      expect(JSON.stringify(error).length).toBeLessThan(200);
      expect(await client.request({ type: 'history', limit: 1 })).toMatchObject({ type: 'history' });
      await client.close();
      await assertUndisturbed();
    },
  );

  it('carry their id into the error where they have a usable one', async () => {
    const client = await joinVisitor(at(world.nodes, 0), 'd');
    expect(await client.request({ type: 'message', id: 'mine', text: '' })).toMatchObject({
      type: 'error',
      id: 'mine',
    });
    expect(await client.request({ type: 'nothing', id: 'mine-2' })).toMatchObject({ type: 'error', code: 'bad_frame' });
    await client.close();
  });

  const cut: readonly [string, string | Uint8Array, number][] = [
    ['70 KB', `{"type":"message","id":"x","text":"${'x'.repeat(70_000)}"}`, 1009],
    ['10 MB', 'x'.repeat(10_000_000), 1006],
    ['10 MB of binary', new Uint8Array(10_000_000), 1006],
  ];
  it.each(cut)('a frame of %s closes with %i', async (_name, raw, code) => {
    const client = await joinVisitor(at(world.nodes, 0), 'd');
    client.sendRaw(raw);
    expect((await client.closed).code).toBe(code);
    await assertUndisturbed();
  });

  it('bad UTF-8 in a text frame is cut', async () => {
    const client = await joinVisitor(at(world.nodes, 0), 'd');
    client.socket.send(Buffer.from([0x22, 0xff, 0xfe, 0x22]), { binary: false });
    expect([1006, 1007]).toContain((await client.closed).code);
    await assertUndisturbed();
  });

  it("the first system's heartbeat is answered in its own words", async () => {
    const client = await joinVisitor(at(world.nodes, 0), 'd');
    client.sendRaw('__ping__');
    expect(await client.waitFor('text')).toMatchObject({ raw: '__pong__' });
    client.send({ type: 'ping' });
    await client.waitFor('pong');
    await client.close();
  });

  it('100,000 random mutations of good frames never end the process', async () => {
    const seed = 7_919;
    const random = seededRandom(seed);
    const good = [
      '{"type":"message","id":"m1","text":"hello","meta":{"a":[1,2,{"b":null}]}}',
      '{"type":"typing","state":"start"}',
      '{"type":"read","offset":3}',
      '{"type":"history","id":"h1","before":5,"limit":2}',
      '{"type":"refresh","id":"r1","token":"a.b.c"}',
      '{"type":"handoff","id":"o1","action":"request"}',
      '{"type":"ping"}',
      '__ping__',
    ];
    const noise = [
      '"',
      '{',
      '}',
      '[',
      ']',
      ':',
      ',',
      '\\',
      '\u0000',
      '\ud83d',
      'é',
      '0',
      '-',
      'e',
      ' ',
      'null',
      '__proto__',
    ];
    const mutate = (text: string): string => {
      const place = Math.floor(random.float() * text.length);
      const length = Math.floor(random.float() * 4);
      const insert = random.float() < 0.7 ? (noise[Math.floor(random.float() * noise.length)] ?? '') : '';
      return text.slice(0, place) + insert + text.slice(place + length);
    };
    const client = dial({ ...asVisitor(at(world.nodes, 0), 'd'), keepFrames: false });
    await client.next('connected');
    for (let n = 0; n < 100_000; n += 1) {
      let text = good[n % good.length] ?? '';
      for (let times = 1 + (n % 3); times > 0; times -= 1) text = mutate(text);
      client.sendRaw(text);
      // Lets the answers in, so that a slow reader is not what is tested here.
      if (n % 500 === 0)
        await until(() => client.socket.bufferedAmount < 100_000, { what: `the socket to drain (seed ${seed})` });
    }
    const answer = client.next((frame) => frame.type === 'history' && frame.id === 'the-end');
    client.send({ type: 'history', id: 'the-end', limit: 1 });
    await answer;
    await client.close();
    await assertUndisturbed();
  });
});

describe('many frames', () => {
  it('are refused beyond the limit of a connection, pings too, and cut when they go on', async () => {
    const limited = await startWorld({ nodes: 1, env: { WS_RATE_LIMIT_FRAMES: 20 } });
    try {
      await makeDialog(limited, 'd');
      const client = await joinVisitor(at(limited.nodes, 0), 'd');
      for (let n = 0; n < 10; n += 1) client.socket.ping();
      for (let n = 0; n < 11; n += 1) client.send({ type: 'ping' });
      expect(await client.waitFor('error')).toMatchObject({ code: 'rate_limited', temporary: true });
      for (let n = 0; n < 30; n += 1) client.send({ type: 'ping' });
      expect((await client.closed).code).toBe(4008);
    } finally {
      await limited.close();
    }
  });

  it('a sender over its window is told when to come back, and a retry of the same id is appended once', async () => {
    const limited = await startWorld({
      nodes: 2,
      env: { WS_RATE_LIMIT_MESSAGES: 3, WS_RATE_LIMIT_MESSAGES_WINDOW: 2 },
    });
    try {
      await makeDialog(limited, 'd');
      const client = await joinVisitor(at(limited.nodes, 0), 'd', { clientId: 'a' });
      const other = await joinVisitor(at(limited.nodes, 1), 'd', { clientId: 'b' });
      for (const n of [1, 2, 3])
        expect(await at([client, other], n).publish(`${n}`, { id: `m${n}` })).toMatchObject({ type: 'ack' });
      const refusal = await other.publish('4', { id: 'm4' });
      expect(refusal).toMatchObject({ type: 'error', code: 'rate_limited', temporary: true });
      expect(Number(refusal['retry_after_ms']) % 250).toBe(0);
      const ack = await until(
        async () => {
          const answer = await other.publish('4', { id: 'm4' });
          return answer.type === 'ack' ? answer : undefined;
        },
        { what: 'the retry to be admitted', everyMs: 200 },
      );
      expect(ack).toMatchObject({ offset: 4 });
      expect(ack['duplicate']).toBeUndefined();
      await until(() => client.messages().length === 4, { what: 'four messages' });
      expect(client.messages().map((frame) => frame.id)).toEqual(['m1', 'm2', 'm3', 'm4']);
    } finally {
      await limited.close();
    }
  });
});
