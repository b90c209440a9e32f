import { describe, expect, it } from 'vitest';
import type { ZodType } from 'zod';
import { BOUNDS } from '../src/bounds.js';
import { API_BODIES, historyQuery } from '../src/schemas/api-bodies.js';

const BOT = { role: 'assistant', id: 'bot' };
const PUBLISH = { sender: BOT, text: 'hi' };
const TYPING = { type: 'typing', sender: { role: 'assistant', id: 'bot' }, state: 'start' };
const EVENT = { type: 'event', name: 'cart.updated', data: { a: 1 } };
const DIALOG = { tenant: 't', assistant_id: 'a' };
const VISITOR_TOKEN = { type: 'visitor', sub: 's', tenant: 't', assistant_id: 'a', dialog_id: 'd', kind: 'widget' };

const deep = (depth: number): unknown => (depth === 0 ? 1 : [deep(depth - 1)]);

describe('API bodies', () => {
  it.each<[string, ZodType, unknown]>([
    ['publish', API_BODIES.publish, PUBLISH],
    ['publish with everything', API_BODIES.publish, { ...PUBLISH, id: 'x', meta: {}, track: 'internal', fence: 1 }],
    ['typing', API_BODIES.event, TYPING],
    ['event', API_BODIES.event, EVENT],
    ['event with null data', API_BODIES.event, { ...EVENT, data: null }],
    ['event with the deepest data', API_BODIES.event, { ...EVENT, data: deep(BOUNDS.metaDepth) }],
    ['handoff', API_BODIES.handoff, { id: 'x', action: 'request' }],
    [
      'handoff with a reason',
      API_BODIES.handoff,
      { id: 'x', action: 'cancel', reason: 'x'.repeat(BOUNDS.reasonChars) },
    ],
    ['start of a stream', API_BODIES.stream, { action: 'start', sender: BOT }],
    ['start with everything', API_BODIES.stream, { action: 'start', id: 'x', sender: { ...BOT, name: 'B' }, fence: 1 }],
    ['piece of a stream', API_BODIES.stream, { action: 'append', stream_id: 'x', index: 0, text: ' ' }],
    ['end of a stream', API_BODIES.stream, { action: 'finish', stream_id: 'x' }],
    ['end with everything', API_BODIES.stream, { action: 'finish', stream_id: 'x', text: 'hi', meta: {} }],
    ['abort of a stream', API_BODIES.stream, { action: 'abort', stream_id: 'x' }],
    ['session', API_BODIES.session, { secret: `${'x'.repeat(42)}A` }],
    ['session with a name', API_BODIES.session, { secret: `${'-_'.repeat(21)}8`, name: 'Vera' }],
    ['message of a visitor', API_BODIES.visitorMessage, { id: '1', text: 'hi', meta: { a: 1 } }],
    ['assistant', API_BODIES.assistant, { tenant: 't' }],
    ['dialog', API_BODIES.dialog, DIALOG],
    ['operator token', API_BODIES.token, { type: 'operator', sub: 's', tenant: 't', role: 'agent', ttl_seconds: 60 }],
    ['site token', API_BODIES.token, { type: 'site', tenant: 't', assistant_id: 'a' }],
    ['visitor token', API_BODIES.token, VISITOR_TOKEN],
    ['revocation by jti', API_BODIES.revocation, { jti: 'Zoë {x}' }],
    ['revocation by subject', API_BODIES.revocation, { sub: 's', tenant: 't', issued_before: 1_767_225_600.5 }],
    ['revocation in every tenant', API_BODIES.revocation, { sub: 's', ttl_seconds: 1 }],
    ['revocation by version', API_BODIES.revocation, { assistant_id: 'a', below_version: 7 }],
    ['revocation by dialog', API_BODIES.revocation, { dialog_id: 'd' }],
    ['ban', API_BODIES.ban, { network: '10.0.0.0/8', ttl_seconds: 60, reason: 'x'.repeat(BOUNDS.reasonChars) }],
    ['disconnect of a user', API_BODIES.disconnect, { sub: 's', tenant: 't', code: 'REVOKED' }],
    ['disconnect by number', API_BODIES.disconnect, { node_id: 'node-1', code: 1012 }],
  ])('%s is taken', (_, schema, body) => {
    expect(schema.safeParse(body).success).toBe(true);
  });

  it('fill in what an assistant leaves out', () => {
    expect(API_BODIES.assistant.parse({ tenant: 't' })).toEqual({
      tenant: 't',
      active: true,
      allowed_domains: [],
      widget_version: 0,
      inbox: false,
    });
    expect(API_BODIES.dialog.parse(DIALOG)).toEqual({ ...DIALOG, closed: false });
  });

  it.each<[string, ZodType, unknown]>([
    ['publish as a visitor', API_BODIES.publish, { ...PUBLISH, sender: { role: 'user', id: 'u' } }],
    ['publish without sender', API_BODIES.publish, { text: 'hi' }],
    ['publish with an unknown field', API_BODIES.publish, { ...PUBLISH, offset: 1 }],
    ['publish with a field unknown in sender', API_BODIES.publish, { ...PUBLISH, sender: { ...PUBLISH.sender, x: 1 } }],
    ['publish with fence 0', API_BODIES.publish, { ...PUBLISH, fence: 0 }],
    ['publish with an unsafe fence', API_BODIES.publish, { ...PUBLISH, fence: 2 ** 53 }],
    ['publish with empty text', API_BODIES.publish, { ...PUBLISH, text: '' }],
    ['publish with a lone surrogate', API_BODIES.publish, { ...PUBLISH, text: '\ud800' }],
    ['publish with a sender of no id', API_BODIES.publish, { ...PUBLISH, sender: { role: 'system', id: '' } }],
    ['publish with an id of 65', API_BODIES.publish, { ...PUBLISH, id: 'x'.repeat(65) }],
    ['publish in no track', API_BODIES.publish, { ...PUBLISH, track: 'both' }],
    ['a handoff by an operator', API_BODIES.handoff, { id: 'x', action: 'take' }],
    ['a handoff without an id', API_BODIES.handoff, { action: 'request' }],
    ['a handoff with a line end in its reason', API_BODIES.handoff, { id: 'x', action: 'request', reason: 'a\nb' }],
    ['a stream of a person', API_BODIES.stream, { action: 'start', sender: { role: 'manager', id: 'm' } }],
    ['a start with a text', API_BODIES.stream, { action: 'start', sender: BOT, text: 'hi' }],
    ['a piece without text', API_BODIES.stream, { action: 'append', stream_id: 'x', index: 0, text: '' }],
    ['a piece of half a character', API_BODIES.stream, { action: 'append', stream_id: 'x', index: 0, text: '\ud83d' }],
    ['a piece before the first', API_BODIES.stream, { action: 'append', stream_id: 'x', index: -1, text: 'x' }],
    ['a piece of no stream', API_BODIES.stream, { action: 'append', index: 0, text: 'x' }],
    ['an abort with a text', API_BODIES.stream, { action: 'abort', stream_id: 'x', text: 'hi' }],
    ['a step of another kind', API_BODIES.stream, { action: 'pause', stream_id: 'x' }],
    ['an event of another type', API_BODIES.event, { ...EVENT, type: 'delta' }],
    ['an event without data', API_BODIES.event, { type: 'event', name: 'x' }],
    ['an event with a name of blanks', API_BODIES.event, { ...EVENT, name: 'a b' }],
    ['an event whose data is too deep', API_BODIES.event, { ...EVENT, data: deep(BOUNDS.metaDepth + 1) }],
    ['an event whose data is too large', API_BODIES.event, { ...EVENT, data: 'x'.repeat(BOUNDS.eventBytes) }],
    ['typing of a visitor', API_BODIES.event, { ...TYPING, sender: { role: 'user', id: 'u' } }],
    ['a session with a secret of 31 bytes', API_BODIES.session, { secret: 'x'.repeat(42) }],
    ['a session with a secret of 33 bytes', API_BODIES.session, { secret: 'x'.repeat(44) }],
    ['a session with stray bits behind its secret', API_BODIES.session, { secret: `${'x'.repeat(42)}B` }],
    ['a session with a padded secret', API_BODIES.session, { secret: `${'x'.repeat(42)}A=` }],
    ['a session that names its dialog', API_BODIES.session, { secret: `${'x'.repeat(42)}A`, dialog_id: 'd' }],
    ['a session without a secret', API_BODIES.session, { name: 'Vera' }],
    ['a message of a visitor without an id', API_BODIES.visitorMessage, { text: 'hi' }],
    ['a message of a visitor who says who it is from', API_BODIES.visitorMessage, { id: '1', text: 'hi', sender: 's' }],
    ['an assistant without tenant', API_BODIES.assistant, {}],
    ['an assistant with an unknown limit', API_BODIES.assistant, { tenant: 't', limits: { message: 1 } }],
    ['an assistant with a negative limit', API_BODIES.assistant, { tenant: 't', limits: { messages: -1 } }],
    [
      'an assistant with too many domains',
      API_BODIES.assistant,
      { tenant: 't', allowed_domains: Array(101).fill('a') },
    ],
    ['a dialog without assistant', API_BODIES.dialog, { tenant: 't' }],
    ['a dialog with a path as assistant', API_BODIES.dialog, { tenant: 't', assistant_id: '../a' }],
    ['a token of no type', API_BODIES.token, { sub: 's', tenant: 't', role: 'agent' }],
    ['a token that dates itself', API_BODIES.token, { ...VISITOR_TOKEN, iat: 1 }],
    ['a token of no life', API_BODIES.token, { ...VISITOR_TOKEN, ttl_seconds: 0 }],
    ['a revocation of nothing', API_BODIES.revocation, { ttl_seconds: 60 }],
    ['a revocation of two things', API_BODIES.revocation, { jti: 'j', sub: 's' }],
    ['a revocation of a tenant', API_BODIES.revocation, { tenant: 't' }],
    ['a revocation in milliseconds', API_BODIES.revocation, { sub: 's', issued_before: 1_767_225_600_000 }],
    ['a revocation without version', API_BODIES.revocation, { assistant_id: 'a' }],
    ['a ban without end', API_BODIES.ban, { network: '1.2.3.4' }],
    ['a ban with a line end in its reason', API_BODIES.ban, { network: '1.2.3.4', ttl_seconds: 1, reason: 'a\nb' }],
    ['a disconnect of everybody', API_BODIES.disconnect, {}],
    ['a disconnect of two things', API_BODIES.disconnect, { sub: 's', dialog_id: 'd' }],
    ['a disconnect with what only the node knows', API_BODIES.disconnect, { sub: 's', code: 4010 }],
    ['a visitor token without dialog', API_BODIES.token, { ...VISITOR_TOKEN, dialog_id: undefined }],
  ])('%s is refused', (_, schema, body) => {
    expect(schema.safeParse(body).success).toBe(false);
  });
});

describe('the history query', () => {
  it.each<[object, object | undefined]>([
    [{}, {}],
    [
      { after: '5', limit: '10' },
      { after: 5, limit: 10 },
    ],
    [
      { before: '5', track: 'internal' },
      { before: 5, track: 'internal' },
    ],
    [{ before: '5', after: '1' }, undefined],
    [{ limit: '0' }, undefined],
    [{ limit: '101' }, undefined],
    [{ after: '-1' }, undefined],
    [{ after: 'x' }, undefined],
    [{ track: 'both' }, undefined],
  ])('%j', (query, expected) => {
    const parsed = historyQuery.safeParse(query);
    expect(parsed.success ? parsed.data : undefined).toEqual(expected);
  });
});
