import { describe, expect, it } from 'vitest';
import { CLOSE_CODES, closeCodeOf, DISCONNECT_CODES, disconnectCodeOf } from '../src/close-codes.js';
import { ERROR_CODES } from '../src/error-codes.js';
import { SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX, WS_ROUTES } from '../src/transports.js';

/** The contract's own lists, written out: a change of the tables in code is a change of the contract. */
const CLOSES: readonly [number, string, string][] = [
  [1000, 'NORMAL', 'never'],
  [1001, 'GOING_AWAY', 'backoff'],
  [1002, 'PROTOCOL_ERROR', 'never'],
  [1009, 'TOO_LARGE', 'never'],
  [1011, 'INTERNAL_ERROR', 'backoff'],
  [1012, 'SERVICE_RESTART', 'delay'],
  [1013, 'TRY_AGAIN_LATER', 'backoff'],
  [4001, 'AUTH_EXPIRED', 'refresh'],
  [4002, 'AUTH_FAILED', 'never'],
  [4003, 'FORBIDDEN_DOMAIN', 'never'],
  [4004, 'NOT_FOUND', 'never'],
  [4005, 'REVOKED', 'never'],
  [4006, 'CONNECTION_LIMIT', 'long_backoff'],
  [4007, 'SESSION_TIMEOUT', 'now'],
  [4008, 'RATE_LIMITED', 'long_backoff'],
  [4009, 'CONFLICT_CONNECTION', 'never'],
  [4010, 'SLOW_CONSUMER', 'jitter'],
  [4011, 'INSUFFICIENT_STATE', 'jitter'],
];

const ERRORS: readonly [string, boolean, number][] = [
  ['bad_frame', false, 400],
  ['unauthorized', false, 401],
  ['expired', false, 401],
  ['not_allowed', false, 403],
  ['forbidden_domain', false, 403],
  ['revoked', false, 403],
  ['not_found', false, 404],
  ['conflict', false, 409],
  ['stale_fence', false, 409],
  ['closed', false, 409],
  ['too_large', false, 413],
  ['rate_limited', true, 429],
  ['internal', true, 500],
  ['unavailable', true, 503],
];

describe('close codes', () => {
  it('are exactly those of the contract', () => {
    expect(Object.values(CLOSE_CODES).map(({ code, name, reconnect }) => [code, name, reconnect])).toEqual(CLOSES);
  });

  it.each(CLOSES)('%i is found by its number', (code, name) => {
    expect(closeCodeOf(code)?.name).toBe(name);
  });

  it.each([0, 999, 1005, 1006, 3000, 4000, 4012, Number.NaN])('%d is none that the gateway sends', (code) => {
    expect(closeCodeOf(code)).toBeUndefined();
  });

  it('have a meaning each and cannot be changed', () => {
    for (const entry of Object.values(CLOSE_CODES)) {
      expect(entry.means.length).toBeGreaterThan(10);
      expect(Object.isFrozen(entry)).toBe(true);
    }
  });

  it('have names that fit a close frame', () => {
    for (const { name } of Object.values(CLOSE_CODES)) expect(name.length).toBeLessThanOrEqual(123);
  });
});

describe('codes that a backend may disconnect with', () => {
  it('are found by name and by number, and no others', () => {
    for (const name of DISCONNECT_CODES) {
      expect([disconnectCodeOf(name), disconnectCodeOf(CLOSE_CODES[name].code)]).toEqual([name, name]);
    }
    expect([1006, 4002, 'SLOW_CONSUMER', '1001', ''].map(disconnectCodeOf)).toEqual(Array(5).fill(undefined));
    expect(DISCONNECT_CODES[0]).toBe('GOING_AWAY');
  });
});

describe('error codes', () => {
  it('are exactly those of the contract', () => {
    expect(Object.entries(ERROR_CODES).map(([name, { temporary, http }]) => [name, temporary, http])).toEqual(ERRORS);
  });
});

describe('transports', () => {
  it('are those of the contract', () => {
    expect(WS_ROUTES).toEqual({
      operator: '/ws/dialogs/:dialog_id',
      site: '/ws/site/dialogs/:dialog_id',
      widget: '/ws/widget/dialogs/:dialog_id',
    });
    expect([SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX]).toEqual(['replyx.v1', 'replyx.token.']);
  });
});
