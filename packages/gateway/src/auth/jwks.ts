import type { Clock } from '@replyx/core';
import type { CryptoKey } from 'jose';
import { type JwksKey, parseJwks } from './jwks-keys.js';
import type { AsymmetricAlgorithm } from './token-header.js';

/** An unknown key id fetches again at most this often, so that made-up ids can't turn the node against the issuer. */
const REFETCH_MS = 30_000;
/** While there are no keys at all nobody can be verified: the issuer is asked a little more often. */
const FIRST_RETRY_MS = 5_000;
/** Keys older than this are renewed in the background, so that a withdrawn key stops working. */
const RENEW_MS = 600_000;
const DEADLINE_MS = 5_000;
const MAX_BYTES = 262_144;

export type JwksLookup =
  | { readonly status: 'found'; readonly keys: readonly CryptoKey[] }
  | { readonly status: 'unknown' }
  /** The issuer did not answer, so whether the key exists is not known. */
  | { readonly status: 'unavailable' };

export interface Jwks {
  /** Keys for a token's algorithm and key id; every key of the algorithm when it names none. Waits for a fetch at most. */
  keysFor(algorithm: AsymmetricAlgorithm, kid: string | undefined): Promise<JwksLookup>;
  /** Fetches the keys ahead of the first token. Never rejects; resolves whether there are keys. */
  load(): Promise<boolean>;
}

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface JwksOptions {
  readonly url: string;
  readonly fetch: Fetch;
  readonly clock: Pick<Clock, 'monotonicMs' | 'schedule'>;
  /** Told of each fetch; `failed` keeps the keys of the last good one. */
  readonly onFetch?: (outcome: 'loaded' | 'failed', keys: number) => void;
}

const readBounded = async (response: Response): Promise<string> => {
  if (response.body === null) throw new Error('no body');
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw new Error('too large');
    chunks.push(chunk);
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
};

/** The public keys of an issuer. One fetch at a time, shared by all who wait; the last good keys serve until the next. */
export const createJwks = ({ url, fetch, clock, onFetch }: JwksOptions): Jwks => {
  let keys: readonly JwksKey[] | undefined;
  let byKid = new Map<string, readonly JwksKey[]>();
  let attemptedAt: number | undefined;
  let lastFailed = false;
  let pending: Promise<void> | undefined;

  const download = async (signal: AbortSignal): Promise<readonly JwksKey[]> => {
    const response = await fetch(url, { signal, redirect: 'error', headers: { accept: 'application/json' } });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const parsed = await parseJwks(await readBounded(response));
    // An answer without one usable key is a fault of the issuer, not a withdrawal of all keys.
    if (parsed === undefined || parsed.length === 0) throw new Error('no usable keys');
    return parsed;
  };

  const attempt = async (): Promise<void> => {
    const controller = new AbortController();
    let cancel = (): void => {};
    try {
      // The race covers a fetch that ignores its signal.
      const deadline = new Promise<never>((_, reject) => {
        cancel = clock.schedule(DEADLINE_MS, () => {
          controller.abort();
          reject(new Error('deadline'));
        });
      });
      const loaded = await Promise.race([download(controller.signal), deadline]);
      const index = new Map<string, JwksKey[]>();
      for (const key of loaded) if (key.kid !== undefined) index.set(key.kid, [...(index.get(key.kid) ?? []), key]);
      keys = loaded;
      byKid = index;
      lastFailed = false;
    } catch {
      controller.abort();
      lastFailed = true;
    } finally {
      cancel();
    }
    onFetch?.(lastFailed ? 'failed' : 'loaded', keys?.length ?? 0);
  };

  const refresh = (): Promise<void> => {
    if (pending === undefined) {
      attemptedAt = clock.monotonicMs();
      pending = attempt().finally(() => {
        pending = undefined;
      });
    }
    return pending;
  };

  const mayFetchAfter = (ms: number): boolean => attemptedAt === undefined || clock.monotonicMs() - attemptedAt >= ms;

  const find = (algorithm: AsymmetricAlgorithm, kid: string | undefined): readonly CryptoKey[] =>
    (kid === undefined ? (keys ?? []) : (byKid.get(kid) ?? []))
      .filter((key) => key.algorithm === algorithm)
      .map(({ key }) => key);

  return {
    keysFor: async (algorithm, kid) => {
      let found = find(algorithm, kid);
      if (found.length > 0) {
        if (mayFetchAfter(lastFailed ? REFETCH_MS : RENEW_MS)) void refresh();
        return { status: 'found', keys: found };
      }
      if (pending !== undefined || mayFetchAfter(keys === undefined ? FIRST_RETRY_MS : REFETCH_MS)) {
        await refresh();
        found = find(algorithm, kid);
        if (found.length > 0) return { status: 'found', keys: found };
      }
      return { status: lastFailed ? 'unavailable' : 'unknown' };
    },
    load: async () => {
      if (keys === undefined) await refresh();
      return keys !== undefined;
    },
  };
};
