import type { SessionHost } from '@replyx/core';
import { BOUNDS } from '@replyx/protocol';
import { dial, operatorToken, type TestClient } from '@replyx/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import type { Verdict } from '../src/admission/admission.js';
import { listen } from '../src/uws/listen.js';
import { type TemplatedApp, uws } from '../src/uws/module.js';
import { serveSockets } from '../src/uws/socket-app.js';

const opened: TemplatedApp[] = [];
afterEach(() => {
  for (const app of opened.splice(0)) app.close();
});

/** A socket that is open and whose decision is never made. */
const undecided = async (): Promise<{ client: TestClient; bugs: unknown[] }> => {
  const app = uws.App();
  opened.push(app);
  const bugs: unknown[] = [];
  serveSockets(app, {
    host: {} as SessionHost,
    greet: () => ({ greeting: 'welcome', address: { text: '203.0.113.9', key: '203.0.113.9' } }),
    screen: () => ({
      screening: 'upgrade',
      protocol: 'replyx.v1',
      token: { selectedProtocol: 'replyx.v1' },
    }),
    admit: () => new Promise<Verdict>(() => {}),
    join: () => {},
    onVerdict: () => {},
    onBug: (error) => bugs.push(error),
    outboxMaxBytes: 65_536,
    pongTimeoutMs: 40_000,
    admitDeadlineMs: 60_000,
  });
  const { port } = await listen(app, '127.0.0.1', 0);
  const client = dial({ url: `ws://127.0.0.1:${port}/ws/dialogs/d`, token: operatorToken() });
  await new Promise((resolve) => client.socket.once('open', resolve));
  return { client, bugs };
};

describe('before the decision', () => {
  it.each<[string, number, (string | Uint8Array)[]]>([
    ['a text frame over the bound', 1009, ['x'.repeat(BOUNDS.frameBytes + 1)]],
    ['a binary frame over the bound', 1009, [new Uint8Array(2 * BOUNDS.frameBytes)]],
    ['more bytes than one frame may have', 4008, ['x'.repeat(BOUNDS.frameBytes), 'x']],
    ['more frames than a client of ours sends', 4008, Array.from({ length: 33 }, () => '{}')],
  ])('%s closes with %i', async (_what, code, frames) => {
    const { client, bugs } = await undecided();
    for (const frame of frames) client.sendRaw(frame);
    const ending = await client.closed;
    expect([ending.code, ending.disconnectFrame?.code, bugs]).toEqual([code, code, []]);
  });
});
