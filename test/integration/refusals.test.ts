import {
  operatorToken,
  siteToken,
  TEST_DOMAIN,
  TEST_ORIGIN,
  TEST_TENANT,
  upgradeStatus,
  visitorToken,
} from '@replyx/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { at, makeDialog, startWorld, type World } from './world.js';

let world: World;
beforeAll(async () => {
  world = await startWorld({ nodes: 1, env: { WS_BAN_SCORE: 0 } });
  await makeDialog(world, 'mine', { visitor_id: 'visitor-1' });
  await makeDialog(world, 'theirs', { tenant: 'tenant-2', assistant_id: 'assistant-2' });
  await makeDialog(world, 'owned', { visitor_id: 'visitor-2' });
  await at(world.nodes, 0).api.put('/v1/assistants/assistant-2', {
    tenant: 'tenant-2',
    allowed_domains: [TEST_DOMAIN],
  });
});
afterAll(() => world?.close());

const ROUNDS = 40;
const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? 0;

/** Everything that a refused peer is told, and how long it took. */
type Ask = () => Promise<string>;

const socket =
  (path: string, token: string, origin?: string): Ask =>
  async () => {
    const { status, headers, frames, closeCode, closeReason, body } = await upgradeStatus(
      `${at(world.nodes, 0).wsUrl}${path}`,
      {
        'Sec-WebSocket-Protocol': `replyx.v1, replyx.token.${token}`,
        ...(origin === undefined ? {} : { Origin: origin }),
      },
    );
    const { 'sec-websocket-accept': _, date: __, ...shown } = headers;
    return JSON.stringify({ status, shown, frames, closeCode, closeReason, body });
  };

const http =
  (method: string, path: string, token: string, body?: unknown): Ask =>
  async () => {
    const response = await fetch(`${at(world.nodes, 0).wsUrl.replace('ws', 'http')}${path}`, {
      method,
      headers: { Authorization: `Bearer ${token}`, Origin: TEST_ORIGIN },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return JSON.stringify({
      status: response.status,
      headers: [...response.headers].filter(([name]) => name !== 'date'),
      body: await response.text(),
    });
  };

const forged = { secret: 'x'.repeat(40) };
const visitorOf = (dialog: string, claims = {}) => visitorToken({ dialog_id: dialog, ...claims });
const message = { id: 'm', text: 'hello' };
const secret = Buffer.alloc(32, 7).toString('base64url');

describe('what a refused peer is told', () => {
  const groups: readonly [string, Readonly<Record<string, Ask>>][] = [
    [
      "of an operator's dialog",
      {
        'that is not there': socket('/ws/dialogs/nothing', operatorToken()),
        'of another tenant': socket('/ws/dialogs/theirs', operatorToken()),
        'of an assistant that is not theirs': socket('/ws/dialogs/mine', operatorToken({ assistants: ['other'] })),
      },
    ],
    [
      "of a visitor's dialog",
      {
        'that is not there': socket('/ws/site/dialogs/nothing', visitorOf('nothing'), TEST_ORIGIN),
        'of another tenant': socket('/ws/site/dialogs/theirs', visitorOf('theirs'), TEST_ORIGIN),
        'of another visitor': socket('/ws/site/dialogs/owned', visitorOf('owned'), TEST_ORIGIN),
        'that the token does not name': socket('/ws/site/dialogs/mine', visitorOf('other'), TEST_ORIGIN),
      },
    ],
    [
      'of a credential',
      {
        'that is forged': socket('/ws/dialogs/mine', operatorToken({}, forged)),
        'of another type': socket('/ws/dialogs/mine', visitorOf('mine')),
        'that is forged, for a dialog that is not there': socket('/ws/dialogs/nothing', operatorToken({}, forged)),
        'without a role': socket('/ws/dialogs/mine', operatorToken({ role: undefined })),
      },
    ],
    [
      "of a visitor's messages by HTTP",
      {
        'in a dialog that is not there': http(
          'POST',
          '/api/site/dialogs/nothing/messages',
          visitorOf('nothing'),
          message,
        ),
        'in one of another tenant': http('POST', '/api/site/dialogs/theirs/messages', visitorOf('theirs'), message),
        'in one of another visitor': http('POST', '/api/site/dialogs/owned/messages', visitorOf('owned'), message),
      },
    ],
    [
      'of a session',
      {
        'with an assistant that is not there': http(
          'POST',
          '/api/site/sessions',
          siteToken({ assistant_id: 'nobody' }),
          { secret },
        ),
        'with one of another tenant': http(
          'POST',
          '/api/site/sessions',
          siteToken({ assistant_id: 'assistant-2', tenant: TEST_TENANT }),
          { secret },
        ),
      },
    ],
  ];
  it.each(groups)('%s is the same to the byte, whatever is wrong', async (name, asks) => {
    const told = new Map<string, Set<string>>();
    const times = new Map<string, number[]>();
    // Interleaved, so that what slows one slows all.
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [what, ask] of Object.entries(asks)) {
        const since = performance.now();
        const answer = await ask();
        times.set(what, [...(times.get(what) ?? []), performance.now() - since]);
        told.set(what, new Set([...(told.get(what) ?? []), answer]));
      }
    }
    const all = new Set([...told.values()].flatMap((answers) => [...answers]));
    expect([...all]).toEqual([[...all][0]]);
    const medians = [...times].map(([what, values]) => `${what} ${median(values).toFixed(2)} ms`);
    console.log(`${name}: ${medians.join(', ')} (medians of ${ROUNDS})`);
  });
});
