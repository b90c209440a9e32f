import { type Backplane, type InboxOutcome, memoryCluster } from '@replyx/core';
import { fakeClock, seededRandom } from '@replyx/testkit';
import { CONTRACT_OPTIONS, publication } from '@replyx/testkit/contract';
import { describe, expect, it } from 'vitest';
import { assistantRoutes } from '../src/http/assistant-routes.js';
import { type DeadLetterAction, deadLetterRoutes } from '../src/http/dead-letter-routes.js';
import type { HttpRoute } from '../src/http/http.js';
import { Problem } from '../src/http/problem.js';

const SECRET = 's'.repeat(32);
const OTHER = 'o'.repeat(32);

const caller =
  (routes: readonly HttpRoute[]) =>
  async (id: string, { body, path = [], query = '' }: { body?: unknown; path?: string[]; query?: string } = {}) => {
    const route = routes.find((one) => one.id === id);
    if (route === undefined) throw new Error(`there is no route ${id}`);
    try {
      const answer = await route.handle({
        method: route.method,
        path: route.path,
        parameters: path,
        query: new URLSearchParams(query),
        header: () => undefined,
        body: new TextEncoder().encode(JSON.stringify(body ?? {})),
        gone: new AbortController().signal,
      });
      return { status: answer.status, body: answer.body === '' ? undefined : JSON.parse(answer.body) };
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return { status: error.code, body: error.detail };
    }
  };

const makeApi = (production = true) => {
  const clock = fakeClock();
  const cluster = memoryCluster({ clock, random: seededRandom(1) });
  const backplane = cluster.open({ ...CONTRACT_OPTIONS, incarnation: 'n.1', nodeId: 'n' });
  const actions: DeadLetterAction[] = [];
  const call = caller([
    ...assistantRoutes(backplane, production),
    ...deadLetterRoutes({ inbox: backplane.inbox, onAction: (action) => actions.push(action) }),
  ]);
  return { clock, backplane, actions, call };
};

describe('PUT /v1/assistants/{id} with a webhook', () => {
  const record = (webhook: object, inbox = true) => ({ body: { tenant: 't', inbox, webhook }, path: ['bot'] });

  it('never gives a secret back, and keeps it where none is put', async () => {
    const { call, backplane } = makeApi();
    const url = 'https://bot.example/hook';
    const put = await call('putAssistant', record({ url, secret: SECRET, previous_secret: OTHER }));
    expect(put).toMatchObject({ status: 200, body: { inbox: true, webhook: { url, rotating: true } } });
    const moved = await call('putAssistant', record({ url: 'https://new.example/' }));
    expect(moved.body.webhook).toEqual({ url: 'https://new.example/', rotating: true });
    const got = await call('getAssistant', { path: ['bot'] });
    expect(got.body).toEqual(moved.body);
    for (const { body } of [put, moved, got]) expect(JSON.stringify(body)).not.toMatch(/s{32}|o{32}/);
    expect((await backplane.directory.assistant('bot'))?.webhook).toEqual({
      url: 'https://new.example/',
      secret: SECRET,
      previousSecret: OTHER,
    });
    await call('putAssistant', { body: { tenant: 't', inbox: true }, path: ['bot'] });
    expect((await call('getAssistant', { path: ['bot'] })).body.webhook).toBeUndefined();
  });

  it.each<[string, object, boolean?]>([
    ['no secret', { url: 'https://bot.example/' }],
    ['a short secret', { url: 'https://bot.example/', secret: 's'.repeat(31) }],
    ['a secret with a space', { url: 'https://bot.example/', secret: `${'s'.repeat(32)} ` }],
    ['no TLS in production', { url: 'http://bot.example/', secret: SECRET }],
    ['credentials in the URL', { url: 'https://a:b@bot.example/', secret: SECRET }],
    ['no URL', { url: 'bot.example', secret: SECRET }],
    ['no inbox', { url: 'https://bot.example/', secret: SECRET }, false],
    ['an unknown field', { url: 'https://bot.example/', secret: SECRET, retries: 3 }],
  ])('refuses %s, repeating no secret', async (_, webhook, inbox = true) => {
    const { call } = makeApi();
    const answer = await call('putAssistant', record(webhook, inbox));
    expect(answer.status).toBe('bad_frame');
    expect(answer.body).not.toMatch(/s{31}/);
  });
});

describe('dead letters', () => {
  const die = async ({ inbox, log }: Backplane, dialogId: string, assistantId: string): Promise<void> => {
    await log.publish(publication(dialogId, { inbox: assistantId }));
    for (let partition = 0; partition < inbox.partitions; partition += 1) {
      const base = { partition, leaseTtlMs: 1_000, after: '', limit: 10, claimMs: 1 };
      const taken = await inbox.exchange({ ...base, outcomes: [], parkedLimit: 0 });
      if (taken.status !== 'served') continue;
      const { token, entries } = taken;
      const outcomes = entries.flatMap((entry): InboxOutcome[] => [
        { kind: 'parked', from: 'stream', entry },
        { kind: 'dead', entry, attempts: 12, reason: 'refused' },
      ]);
      await inbox.exchange({ ...base, token, outcomes, parkedLimit: 0 });
      await inbox.release(partition, token);
    }
  };

  it('are listed in pages, by assistant, with what was not delivered', async () => {
    const { clock, backplane, call } = makeApi();
    for (let i = 0; i < 5; i += 1) {
      await die(backplane, `d${i}`, i === 2 ? 'other' : 'bot');
      await clock.advanceAsync(1_000);
    }
    const first = await call('listDeadLetters', { query: 'assistant_id=bot&limit=3' });
    expect(first.status).toBe(200);
    expect(first.body.dead_letters.map((letter: { dialog_id: string }) => letter.dialog_id)).toEqual([
      'd4',
      'd3',
      'd1',
    ]);
    expect(first.body.dead_letters[0]).toMatchObject({
      assistant_id: 'bot',
      attempts: 12,
      reason: 'refused',
      died_at: clock.nowMs() - 1_000,
      entry: { kind: 'message', dialog_id: 'd4', message: { offset: 1 } },
    });
    const rest = await call('listDeadLetters', { query: `assistant_id=bot&limit=3&after=${first.body.next}` });
    expect(rest.body.dead_letters.map((letter: { dialog_id: string }) => letter.dialog_id)).toEqual(['d0']);
    expect(rest.body.next).toBeNull();
    expect((await call('listDeadLetters')).body.dead_letters).toHaveLength(5);
    for (const query of ['limit=0', 'limit=101', 'after=x', 'assistant_id=a b', 'limit=1&limit=2']) {
      expect((await call('listDeadLetters', { query })).status).toBe('bad_frame');
    }
  });

  it('are replayed or discarded once', async () => {
    const { backplane, actions, call } = makeApi();
    await die(backplane, 'a', 'bot');
    await die(backplane, 'b', 'bot');
    const { body } = await call('listDeadLetters');
    const [first, second] = body.dead_letters.map(({ id }: { id: string }) => id);
    expect(await call('replayDeadLetter', { path: [first] })).toEqual({ status: 202, body: {} });
    expect((await call('replayDeadLetter', { path: [first] })).status).toBe('not_found');
    expect((await call('discardDeadLetter', { path: [second] })).status).toBe(204);
    expect((await call('discardDeadLetter', { path: [second] })).status).toBe('not_found');
    expect((await call('discardDeadLetter', { path: ['no such/id'] })).status).toBe('not_found');
    expect((await call('listDeadLetters')).body).toEqual({ dead_letters: [], next: null });
    expect(actions).toEqual([
      { event: 'dead_letter_replayed', id: first },
      { event: 'dead_letter_discarded', id: second },
    ]);
  });
});
