import { freePort, siteToken, TEST_DOMAIN, until, visitorToken } from '@replyx/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { at, joinOperator, makeDialog } from '../integration/world.js';
import type { Page } from './page.js';
import { addressOf, frameOf, GATEWAY_HOST, STRANGER, type Stage, socketAddressOf, startStage } from './stage.js';

const DIALOG = 'd';
const VISITOR = 'visitor-1';

let stage: Stage;
let customer: Page;
let stranger: Page;
beforeAll(async () => {
  const port = await freePort();
  stage = await startStage({ env: { PORT: port, WS_WIDGET_ORIGINS: `http://${GATEWAY_HOST}:${port}` } });
  await makeDialog(stage.world, DIALOG, { visitor_id: VISITOR });
  customer = await stage.open(stage.sites.page(TEST_DOMAIN));
  stranger = await stage.open(stage.sites.page(STRANGER));
});
afterAll(async () => {
  await stage?.close();
});

const node = () => at(stage.world.nodes, 0);
const tokenOf = (kind: string) => visitorToken({ dialog_id: DIALOG, sub: VISITOR, kind });
const secretOf = (letter: string) => `${letter.repeat(42)}A`;

describe('a socket that a script opens', () => {
  const open = (page: Page, kind: string, host?: string) =>
    page.top.call('openSocket', socketAddressOf(node(), `/ws/${kind}/dialogs/${DIALOG}`, host), tokenOf(kind));

  it("of kind site is let in from the customer's page, and closed with 4003 from another", async () => {
    expect(await open(customer, 'site')).toBe('connected');
    expect(await open(stranger, 'site')).toBe(4003);
  });

  it("of kind widget is closed with 4003 from everywhere but the hosted page, the customer's page too", async () => {
    expect(await open(customer, 'widget')).toBe(4003);
    expect(await open(stranger, 'widget')).toBe(4003);
    // A name of the stranger's that leads to the gateway: the page and the request then name the same host.
    expect(await open(stranger, 'widget', STRANGER)).toBe(4003);
    const page = await stage.open(stage.sites.page(TEST_DOMAIN, frameOf(node())));
    const frame = await page.frame('/widget/');
    await until(async () => (await frame.text('#state')) === 'open', { what: 'the hosted page to join', everyMs: 50 });
    await page.close();
  });
});

describe('a session that a script asks for', () => {
  const ask = (page: Page, kind: string, secret: string) =>
    // biome-ignore lint/suspicious/noExplicitAny: the answer is what is checked
    page.top.call<any>('startSession', addressOf(node(), `/api/${kind}/sessions`), siteToken(), secret);

  it("is given to the customer's page, and its token opens a socket there", async () => {
    const answer = await ask(customer, 'site', secretOf('c'));
    expect(answer).toMatchObject({ status: 201, body: { resumed: false } });
    const { dialog_id: dialogId, token } = answer.body;
    const socket = socketAddressOf(node(), `/ws/site/dialogs/${dialogId}`);
    expect(await customer.top.call('openSocket', socket, token)).toBe('connected');
    expect(await stranger.top.call('openSocket', socket, token)).toBe(4003);
  });

  it('is refused to another page by the preflight, and makes no dialog', async () => {
    expect(await ask(stranger, 'site', secretOf('e'))).toBe('refused');
    expect(stranger.failures.at(-1)?.why).toBe('PreflightMissingAllowOriginHeader');
    // The same secret by who may: it is new.
    expect(await ask(customer, 'site', secretOf('e'))).toMatchObject({ status: 201, body: { resumed: false } });
  });

  it("of kind widget is refused to the customer's page too", async () => {
    expect(await ask(customer, 'widget', secretOf('w'))).toBe('refused');
    expect(customer.failures.at(-1)?.why).toBe('PreflightMissingAllowOriginHeader');
  });
});

describe('a stream of events that a script reads', () => {
  const read = (page: Page) =>
    page.top.call('readEvents', addressOf(node(), `/api/site/dialogs/${DIALOG}/events`), tokenOf('site'));

  it("brings the customer's page what is said, and another page nothing", async () => {
    expect(await read(stranger)).toBe('refused');
    expect(stranger.failures.at(-1)?.why).toBe('PreflightMissingAllowOriginHeader');
    expect(await read(customer)).toBe(200);
    const text = () => customer.top.evaluate<string>('events.text');
    await until(async () => (await text()).includes('"type":"connected"'), { what: 'the stream to begin' });
    const operator = await joinOperator(node(), DIALOG);
    await operator.publish('by events');
    await until(async () => /^id: .+\ndata: .*"text":"by events"/m.test(await text()), { what: 'the message' });
    expect(await stranger.top.evaluate('events.text')).toBe('');
    await operator.close();
  });
});
