import type { Clock } from '@replyx/core';
import { BOUNDS } from '@replyx/protocol';
import { parseJsonObject } from '@replyx/protocol/schemas';
import type { Fetch } from '../auth/jwks.js';
import { unreachableWords } from '../client/unreachable.js';
import type { ClockFacts } from './facts.js';

export type Answer =
  | { readonly reached: false; readonly why: string }
  | {
      readonly reached: true;
      readonly http: number;
      readonly headers: Headers;
      readonly text: string;
      /** The body where it is an object in JSON, else an empty one. */
      readonly json: Readonly<Record<string, unknown>>;
      /** By the answer's `Date`, which names a whole second; undefined without one. */
      readonly clock: ClockFacts | undefined;
    };

export interface Question {
  readonly method?: 'GET' | 'OPTIONS';
  readonly headers?: Readonly<Record<string, string>>;
}

export interface AskParts {
  readonly fetch: Fetch;
  readonly clock: Pick<Clock, 'nowMs'>;
}

const DEADLINE_MS = 5_000;
/** Metrics of a full node take a tenth of it; more is nobody's answer to a question of ours. */
const MAX_BYTES = 4_194_304;

const readBounded = async (response: Response): Promise<string> => {
  if (response.body === null) return '';
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    // Leaving the loop cancels the rest.
    if (bytes > MAX_BYTES) break;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
};

const clockOf = (date: string | null, before: number, after: number): ClockFacts | undefined => {
  const ms = Date.parse(date ?? '');
  if (Number.isNaN(ms)) return undefined;
  return { offsetMs: ms + 500 - (before + after) / 2, errorMs: 500 + Math.max(0, after - before) / 2 };
};

/** One request with a deadline of 5 s; follows no redirect, reads 4 MiB at most. Never rejects. */
export const ask = async ({ fetch, clock }: AskParts, url: string, question: Question = {}): Promise<Answer> => {
  try {
    const before = clock.nowMs();
    const response = await fetch(url, {
      method: question.method ?? 'GET',
      redirect: 'manual',
      signal: AbortSignal.timeout(DEADLINE_MS),
      headers: { ...question.headers },
    });
    const after = clock.nowMs();
    const text = await readBounded(response);
    const parsed = parseJsonObject(text, BOUNDS.frameDepth);
    return {
      reached: true,
      http: response.status,
      headers: response.headers,
      text,
      json: parsed.ok ? parsed.value : {},
      clock: clockOf(response.headers.get('date'), before, after),
    };
  } catch (error) {
    return { reached: false, why: `can't be reached (${unreachableWords(error)})` };
  }
};
