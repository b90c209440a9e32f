import { nowSeconds, siteToken, TEST_ASSISTANT, TEST_DOMAIN, type TestClient, until } from '@replyx/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { at, joinOperator } from '../integration/world.js';
import type { Frame, Page } from './page.js';
import { addressOf, frameOf, GATEWAY_HOST, STRANGER, type Stage, sessionsAsked, startStage } from './stage.js';

let stage: Stage;
beforeAll(async () => {
  stage = await startStage({ nodes: 2 });
});
afterAll(async () => {
  await stage?.close();
});

const first = () => at(stage.world.nodes, 0);
const second = () => at(stage.world.nodes, 1);

const shows = (frame: Frame, selector: string, part: string) =>
  until(async () => (await frame.text(selector)).includes(part), {
    what: `${JSON.stringify(part)} in ${selector}`,
    everyMs: 50,
  });

const isOpen = async (page: Page): Promise<Frame> => {
  const frame = await page.frame('/widget/');
  await shows(frame, '#state', 'open');
  return frame;
};

const dialogOf = (page: Page): string => String(/\/dialogs\/([\w-]+)/.exec(page.sockets.at(-1) ?? '')?.[1]);

const write = async (page: Page, frame: Frame, text: string) => {
  await frame.evaluate("document.querySelector('#text').focus()");
  await page.type(text, 'Enter');
};

/** The visitor and an operator on the other node say something to each other. */
const talk = async (page: Page, frame: Frame): Promise<TestClient> => {
  const operator = await joinOperator(second(), dialogOf(page));
  await write(page, frame, 'is anybody there');
  expect(await operator.waitFor('message')).toMatchObject({ text: 'is anybody there', sender: { role: 'user' } });
  await operator.publish('here I am');
  await shows(frame, '#messages', 'here I am');
  expect(await frame.text('#messages')).toContain('user: is anybody there');
  return operator;
};

describe('the hosted page in a frame', () => {
  it.each([TEST_DOMAIN, `www.${TEST_DOMAIN}`])('of %s takes its token from the fragment and talks', async (host) => {
    const page = await stage.open(stage.sites.page(host, frameOf(first())));
    const frame = await isOpen(page);
    const operator = await talk(page, frame);
    expect(page.sockets.every((url) => url.includes(`//${GATEWAY_HOST}:`) && url.includes('/ws/widget/'))).toBe(true);
    expect(page.complaints).toEqual([]);
    await operator.close();
    await page.close();
  });

  it('takes its token from the page that holds it, and a newer one where the first is refused', async () => {
    const page = await stage.open(stage.sites.page(TEST_DOMAIN, frameOf(first(), { token: null })));
    const frame = await page.frame('/widget/');
    await shows(frame, '#state', 'Waiting');
    const give = (token: string) => page.top.call('giveToken', token, addressOf(first()));
    await give(siteToken({ iat: nowSeconds() - 100, exp: nowSeconds() - 50 }));
    await shows(frame, '#trouble', 'expired');
    await give(siteToken());
    await shows(frame, '#state', 'open');
    expect(await frame.text('#trouble')).toBe('');
    await (await talk(page, frame)).close();
    await page.close();
  });

  it('takes no token from a frame beside it', async () => {
    const page = await stage.open(stage.sites.page(TEST_DOMAIN, frameOf(first(), { token: null })));
    const frame = await page.frame('/widget/');
    await shows(frame, '#state', 'Waiting');
    const asked = await sessionsAsked(stage.world);
    await page.top.call('addFrame', stage.sites.page(STRANGER));
    const stranger = await page.frame(STRANGER);
    await frame.evaluate("addEventListener('message', () => { document.title = 'told'; })");
    await stranger.evaluate(`parent.frames[0].postMessage({ type: 'replyx.token', token: 'x' }, '*')`);
    await until(async () => (await frame.text('title')) === 'told', { what: 'the message to arrive', everyMs: 50 });
    await page.top.call('giveToken', siteToken(), addressOf(first()));
    await shows(frame, '#state', 'open');
    expect(await sessionsAsked(stage.world)).toBe(asked + 1);
    await page.close();
  });

  it('shows the dialog again after a reload', async () => {
    const page = await stage.open(stage.sites.page(TEST_DOMAIN, frameOf(first())));
    const operator = await talk(page, await isOpen(page));
    const dialog = dialogOf(page);
    await page.top.send('Page.reload');
    await until(() => page.sockets.length > 1, { what: 'a second socket' });
    await shows(await isOpen(page), '#messages', 'here I am');
    expect(dialogOf(page)).toBe(dialog);
    await operator.close();
    await page.close();
  });

  it.each([
    ['in a page of another domain', () => stage.sites.page(STRANGER, frameOf(first()))],
    ['in a page whose name only ends alike', () => stage.sites.page(`evil${TEST_DOMAIN}`, frameOf(first()))],
    [
      "in a customer's page that another domain holds",
      () => stage.sites.page(STRANGER, `<iframe src="${stage.sites.page(TEST_DOMAIN, frameOf(first()))}"></iframe>`),
    ],
  ])('is blocked %s, and asks for no session', async (_, url) => {
    const asked = await sessionsAsked(stage.world);
    const page = await stage.open(url());
    const blocked = await until(() => page.complaints.find(({ source }) => source === 'security'), {
      what: 'a violation of the policy',
    });
    expect(blocked.text).toContain('frame-ancestors');
    expect(page.failures.map((failure) => new URL(failure.url).pathname)).toEqual([`/widget/${TEST_ASSISTANT}`]);
    expect([page.sockets, await sessionsAsked(stage.world)]).toEqual([[], asked]);
    await page.close();
  });

  it('works in a sandbox that leaves it its origin', async () => {
    const sandboxed = frameOf(first(), { attributes: 'sandbox="allow-scripts allow-forms allow-same-origin"' });
    const page = await stage.open(stage.sites.page(TEST_DOMAIN, sandboxed));
    await (await talk(page, await isOpen(page))).close();
    expect(page.complaints).toEqual([]);
    await page.close();
  });

  it('in a sandbox that takes its origin away gets no session', async () => {
    const asked = await sessionsAsked(stage.world);
    const sandboxed = frameOf(first(), { attributes: 'sandbox="allow-scripts allow-forms"' });
    const page = await stage.open(stage.sites.page(TEST_DOMAIN, sandboxed));
    const refused = await until(() => page.failures.find(({ url }) => url.endsWith('/page.js')), {
      what: 'its script to be withheld',
    });
    expect(refused.why).toBe('MissingAllowOriginHeader');
    expect([page.sockets, await sessionsAsked(stage.world)]).toEqual([[], asked]);
    await page.close();
  });

  it('shows markup as text, whoever writes it and whatever is asked for', async () => {
    const markup = `<img src="/nothing" onerror="document.title = 'broken'"><b>bold</b>`;
    const page = await stage.open(stage.sites.page(TEST_DOMAIN, frameOf(first())));
    const frame = await isOpen(page);
    const operator = await joinOperator(second(), dialogOf(page), { claims: { name: markup } });
    await operator.publish(markup);
    await write(page, frame, markup);
    await operator.waitFor(({ type, text, sender }) => {
      return type === 'message' && text === markup && (sender as { role: string }).role === 'user';
    });
    await shows(frame, '#messages', `user: ${markup}`);
    expect(await frame.text('#messages')).toContain(`${markup}: ${markup}`);
    expect(await frame.evaluate("[document.querySelectorAll('#messages *:not(li)').length, document.title]")).toEqual([
      0,
      'Chat',
    ]);
    expect(page.complaints).toEqual([]);
    await operator.close();
    await page.close();
    const nothing = await stage.open(addressOf(first(), `/widget/${encodeURIComponent(markup)}`));
    expect(await nothing.top.evaluate('[document.images.length, document.body.textContent.trim()]')).toEqual([
      0,
      'There is no such page.',
    ]);
    await nothing.close();
  });

  it('is back when its node is, with what it missed and what was written meanwhile', async () => {
    const page = await stage.open(stage.sites.page(TEST_DOMAIN, frameOf(first())));
    const frame = await isOpen(page);
    const operator = await talk(page, frame);
    const process = at(stage.world.processes, 0);
    await process.kill();
    await shows(frame, '#state', 'waiting');
    await operator.publish('said meanwhile');
    await write(page, frame, 'written meanwhile');
    await process.start();
    await shows(frame, '#messages', 'said meanwhile');
    await operator.waitFor(({ text }) => text === 'written meanwhile');
    await shows(frame, '#messages', 'written meanwhile');
    const lines = await frame.evaluate<string[]>(
      "Array.from(document.querySelectorAll('li'), (row) => row.textContent)",
    );
    expect(lines.map((line) => line.replace(/^[^:]*: /, ''))).toEqual([
      'is anybody there',
      'here I am',
      'said meanwhile',
      'written meanwhile',
    ]);
    expect(
      page.complaints.filter(({ source, text }) => source !== 'network' && !/^WebSocket connection to/.test(text)),
    ).toEqual([]);
    await operator.close();
    await page.close();
  });
});

describe('the hosted page where the browser blocks storage', () => {
  let blocked: Stage;
  beforeAll(async () => {
    blocked = await startStage({ blockStorage: true });
  });
  afterAll(async () => {
    await blocked?.close();
  });

  it('talks for as long as it is open', async () => {
    const node = at(blocked.world.nodes, 0);
    const page = await blocked.open(blocked.sites.page(TEST_DOMAIN, frameOf(node)));
    const frame = await isOpen(page);
    await expect(frame.evaluate('localStorage.length')).rejects.toThrow('SecurityError');
    const operator = await joinOperator(node, dialogOf(page), { claims: {} });
    await write(page, frame, 'without storage');
    expect(await operator.waitFor('message')).toMatchObject({ text: 'without storage' });
    await shows(frame, '#messages', 'user: without storage');
    expect(page.complaints).toEqual([]);
    await operator.close();
    await page.close();
  });
});
