import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { InboxEntry, Webhook } from '@replyx/core';
import { until } from '@replyx/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import { readWebhook } from '../src/http/webhook-body.js';
import { createTargetGuard, ForbiddenTarget } from '../src/inbox/target-guard.js';
import { createWebhookSender, webhookBody } from '../src/inbox/webhook-sender.js';
import { webhookSignature } from '../src/inbox/webhook-signature.js';
import { systemClock } from '../src/system-clock.js';

const SECRET = 'a secret of thirty-two characters'.replaceAll(' ', '-');
const PREVIOUS = 'another secret of thirty-two char'.replaceAll(' ', '-');
const ENTRY: InboxEntry = {
  id: '1790000000000-0',
  assistantId: 'bot',
  dialogId: 'd',
  body: '{"kind":"message","text":"Zoë 😀"}',
};

describe('a webhook signature', () => {
  it('is HMAC-SHA256 over time and body, by each secret', () => {
    const body = '{"a":1}';
    const hmac = (secret: string) => createHmac('sha256', secret).update(`1790000000.${body}`).digest('hex');
    expect(webhookSignature(body, { secret: SECRET }, 1_790_000_000_999)).toBe(`t=1790000000,v1=${hmac(SECRET)}`);
    expect(webhookSignature(body, { secret: SECRET, previousSecret: PREVIOUS }, 1_790_000_000_000)).toBe(
      `t=1790000000,v1=${hmac(SECRET)},v1=${hmac(PREVIOUS)}`,
    );
  });

  it('has a known value', () => {
    expect(webhookSignature('{}', { secret: 'k'.repeat(32) }, 0)).toBe(
      `t=0,v1=${createHmac('sha256', 'k'.repeat(32)).update('0.{}').digest('hex')}`,
    );
  });
});

describe('a target guard', () => {
  const lookedUp = (guard: ReturnType<typeof createTargetGuard>, all: boolean) =>
    new Promise<unknown>((resolve) => {
      guard.lookup('name.example', { all } as never, (error, address) => resolve(error ?? address));
    });
  const resolving = (...addresses: string[]) =>
    ((_name: string, _options: unknown, done: (error: null, found: unknown) => void) =>
      done(
        null,
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      )) as never;

  const PRIVATE = [
    '127.0.0.1',
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '255.255.255.255',
    '224.0.0.1',
    '240.0.0.1',
    '192.0.2.1',
    '::1',
    '::',
    'fe80::1',
    'fc00::1',
    'ff02::1',
    '::ffff:127.0.0.1',
    '::ffff:a00:1',
    '64:ff9b::a00:1',
    '2002:a00:1::',
    '2001:db8::1',
  ];

  it.each(PRIVATE)('refuses %s, as an address and behind a name', async (address) => {
    const guard = createTargetGuard({ isOn: true, allow: [] }, resolving(address));
    expect(() => guard.check(address.includes(':') ? `[${address}]` : address)).toThrow(ForbiddenTarget);
    expect(await lookedUp(guard, true)).toBeInstanceOf(ForbiddenTarget);
    expect(await lookedUp(guard, false)).toBeInstanceOf(ForbiddenTarget);
  });

  it.each(['93.184.216.34', '2606:2800:220:1::1'])('lets %s pass', async (address) => {
    const guard = createTargetGuard({ isOn: true, allow: [] }, resolving(address));
    expect(() => guard.check(address)).not.toThrow();
    expect(await lookedUp(guard, false)).toBe(address);
  });

  it('connects only to those addresses of a name that it lets pass', async () => {
    const guard = createTargetGuard({ isOn: true, allow: [] }, resolving('10.0.0.1', '93.184.216.34', '::1'));
    expect(await lookedUp(guard, true)).toEqual([{ address: '93.184.216.34', family: 4 }]);
  });

  it('lets configured networks pass, and everything where it is off', async () => {
    const guard = createTargetGuard({ isOn: true, allow: ['10.0.0.0/8', 'fd00::/8'] }, resolving('10.1.1.1'));
    expect(await lookedUp(guard, false)).toBe('10.1.1.1');
    expect(() => guard.check('[fd00::1]')).not.toThrow();
    expect(() => guard.check('127.0.0.1')).toThrow(ForbiddenTarget);
    expect(() => createTargetGuard({ isOn: false, allow: [] }).check('127.0.0.1')).not.toThrow();
  });
});

describe('the webhook of a record', () => {
  const stored: Webhook = { url: 'https://old.example/', secret: SECRET, previousSecret: PREVIOUS };

  it('keeps its secrets where none are given, and replaces them together', () => {
    const url = 'https://new.example/hook?a=1#x';
    expect(readWebhook({ url }, stored, true)).toEqual({ ...stored, url: 'https://new.example/hook?a=1' });
    expect(readWebhook({ url, secret: PREVIOUS }, stored, true)).toEqual({
      url: 'https://new.example/hook?a=1',
      secret: PREVIOUS,
    });
    expect(readWebhook({ url, secret: PREVIOUS, previous_secret: SECRET }, undefined, true)).toMatchObject({
      secret: PREVIOUS,
      previousSecret: SECRET,
    });
    expect(() => readWebhook({ url }, undefined, true)).toThrow('bad_frame');
    expect(() => readWebhook({ url, previous_secret: SECRET }, stored, true)).toThrow('bad_frame');
  });

  it.each([
    ['http://example.com/', true, false],
    ['http://example.com/', false, true],
    ['http://127.0.0.1:8080/', true, true],
    ['http://[::1]/', true, true],
    ['http://localhost/', true, true],
    ['http://127.0.0.1.example.com/', true, false],
    ['http://0x7f.1/', true, true],
    ['ftp://example.com/', false, false],
    ['https://user:password@example.com/', false, false],
    ['https://', false, false],
    ['example.com', false, false],
  ])('%s in production %s: %s', (url, production, isTaken) => {
    const read = () => readWebhook({ url, secret: SECRET }, undefined, production);
    if (isTaken) expect(read().secret).toBe(SECRET);
    else expect(read).toThrow('bad_frame');
  });
});

describe('a webhook sender', () => {
  const closing: (() => void)[] = [];
  afterEach(() => {
    for (const close of closing.splice(0)) close();
  });

  const receiving = async (handle: (request: IncomingMessage, response: ServerResponse, body: string) => void) => {
    const sockets = new Set<object>();
    const server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8');
      request.on('data', (chunk: string) => {
        body += chunk;
      });
      request.on('end', () => handle(request, response, body));
    });
    server.on('connection', (socket) => sockets.add(socket));
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    closing.push(() => {
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    const webhook: Webhook = { url: `http://127.0.0.1:${port}/hook`, secret: SECRET };
    return { webhook, server, sockets };
  };

  const sending = (isOn = false, deadlineMs = 2_000) => {
    const sender = createWebhookSender({
      guard: createTargetGuard({ isOn, allow: [] }),
      clock: systemClock,
      version: '1.2.3',
      deadlineMs,
    });
    closing.push(() => sender.close());
    return sender;
  };
  const attempt = (signal = new AbortController().signal) => ({ deliveryId: '5-1-0', number: 3, signal });

  it('posts the entry with its id, signed', async () => {
    const seen: { headers: IncomingMessage['headers']; body: string; method: string | undefined }[] = [];
    const { webhook } = await receiving((request, response, body) => {
      seen.push({ headers: request.headers, body, method: request.method });
      response.end('thanks');
    });
    const sender = sending();
    expect(await sender.send(webhook, ENTRY, attempt())).toBe('delivered');
    expect(await sender.send(webhook, { ...ENTRY, replayOf: '1-0' }, attempt())).toBe('delivered');
    expect(seen[0]).toMatchObject({
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'user-agent': 'ReplyX/1.2.3',
        'replyx-delivery': '5-1-0',
        'replyx-attempt': '3',
      },
    });
    expect(JSON.parse(seen[0]?.body ?? '')).toEqual({ id: '5-1-0', kind: 'message', text: 'Zoë 😀' });
    const [, seconds, hex] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(seen[0]?.headers['replyx-signature'])) ?? [];
    expect(hex).toBe(createHmac('sha256', SECRET).update(`${seconds}.${seen[0]?.body}`).digest('hex'));
    expect(Math.abs(Number(seconds) - Date.now() / 1000)).toBeLessThan(60);
    expect(seen[0]?.headers['replyx-replay-of']).toBeUndefined();
    expect(seen[1]?.headers['replyx-replay-of']).toBe('1-0');
    expect(webhookBody({ body: '{"a":1}' }, 'x')).toBe('{"id":"x","a":1}');
  });

  it.each([200, 201, 204, 299])('takes %i for an acknowledgement', async (status) => {
    const { webhook } = await receiving((_, response) => response.writeHead(status).end());
    expect(await sending().send(webhook, ENTRY, attempt())).toBe('delivered');
  });

  it.each([301, 302, 307, 400, 404, 429, 500, 503])('takes %i for a failure, and follows nothing', async (status) => {
    let requests = 0;
    const { webhook } = await receiving((request, response) => {
      requests += 1;
      response.writeHead(status, { Location: `http://${request.headers.host}/other` }).end();
    });
    expect(await sending().send(webhook, ENTRY, attempt())).toBe('refused');
    expect(requests).toBe(1);
  });

  it('gives up at the deadline, and when its lease is gone', async () => {
    const { webhook } = await receiving(() => {});
    expect(await sending(false, 100).send(webhook, ENTRY, attempt())).toBe('timeout');
    const lease = new AbortController();
    const sent = sending().send(webhook, ENTRY, attempt(lease.signal));
    lease.abort();
    expect(await sent).toBe('aborted');
    expect(await sending().send(webhook, ENTRY, attempt(lease.signal))).toBe('aborted');
  });

  it('tells who is not there from who answers, and who dies in the middle', async () => {
    const { webhook } = await receiving((request) => request.socket.destroy());
    expect(await sending().send(webhook, ENTRY, attempt())).toBe('unreachable');
    expect(await sending().send({ ...webhook, url: 'http://127.0.0.1:1/' }, ENTRY, attempt())).toBe('unreachable');
    expect(await sending().send({ ...webhook, url: 'http://no-such-host.invalid/' }, ENTRY, attempt())).toBe(
      'unreachable',
    );
  });

  it('does not connect where it may not', async () => {
    let requests = 0;
    const { webhook } = await receiving((_, response) => {
      requests += 1;
      response.end();
    });
    expect(await sending(true).send(webhook, ENTRY, attempt())).toBe('forbidden');
    const named = { ...webhook, url: webhook.url.replace('127.0.0.1', 'localhost') };
    expect(await sending(true).send(named, ENTRY, attempt())).toBe('forbidden');
    expect(requests).toBe(0);
  });

  it('reads no more of an answer than it must, and uses a connection again', async () => {
    let isEndless = true;
    let requests = 0;
    const { webhook, sockets } = await receiving((_, response) => {
      requests += 1;
      if (!isEndless) {
        response.end('x');
        return;
      }
      const more = (): void => {
        if (!response.destroyed) response.write('x'.repeat(65_536), () => setImmediate(more));
      };
      more();
    });
    const sender = sending();
    expect(await sender.send(webhook, ENTRY, attempt())).toBe('delivered');
    isEndless = false;
    await until(async () => (await sender.send(webhook, ENTRY, attempt())) === 'delivered' && requests > 6, {
      what: 'several deliveries',
      everyMs: 5,
    });
    expect(sockets.size).toBeLessThan(requests);
  });

  it('tries once more at once where a kept connection was closed beneath it', async () => {
    let requests = 0;
    const { webhook } = await receiving((request, response) => {
      requests += 1;
      // The second request on a connection finds it closing.
      if (requests === 2) request.socket.destroy();
      else response.end();
    });
    const sender = sending();
    expect(await sender.send(webhook, ENTRY, attempt())).toBe('delivered');
    await new Promise((resolve) => setImmediate(resolve));
    expect(await sender.send(webhook, ENTRY, attempt())).toBe('delivered');
    expect(requests).toBe(3);
  });
});
