import type { Backplane, DeadLetter } from '@replyx/core';
import { BOUNDS } from '@replyx/protocol';
import { type ApiAnswer, deadLetterQuery } from '@replyx/protocol/schemas';
import { readQuery } from './body.js';
import { type HttpRoute, json, NO_CONTENT } from './http.js';
import { pathId } from './path-id.js';
import { Problem } from './problem.js';
import { ROUTES } from './route-table.js';

export type DeadLetterAction = {
  readonly event: 'dead_letter_replayed' | 'dead_letter_discarded';
  readonly id: string;
};

export interface DeadLetterRoutesParts {
  readonly inbox: Backplane['inbox'];
  readonly onAction: (action: DeadLetterAction) => void;
}

const letterBody = (letter: DeadLetter): ApiAnswer<'deadLetters'>['dead_letters'][number] => ({
  id: letter.letterId,
  assistant_id: letter.assistantId,
  dialog_id: letter.dialogId,
  attempts: letter.attempts,
  reason: letter.reason,
  died_at: letter.diedMs,
  ...(letter.replayOf === undefined ? {} : { replay_of: letter.replayOf }),
  entry: JSON.parse(letter.body) as Record<string, unknown>,
});

const placeOf = (cursor: string): { readonly diedMs: number; readonly letterId: string } => {
  const dot = cursor.indexOf('.');
  return { diedMs: Number(cursor.slice(0, dot)), letterId: cursor.slice(dot + 1) };
};

/** What webhooks did not take. */
export const deadLetterRoutes = ({ inbox, onAction }: DeadLetterRoutesParts): HttpRoute[] => [
  {
    ...ROUTES.listDeadLetters,
    handle: async (call) => {
      const query = readQuery(call.query, deadLetterQuery);
      const { limit = BOUNDS.deadLetterPageDefault } = query;
      const found = await inbox.deadLetters({
        assistantId: query.assistant_id,
        after: query.after === undefined ? undefined : placeOf(query.after),
        limit: limit + 1,
      });
      const page = found.slice(0, limit);
      const last = page.at(-1);
      return json(200, {
        dead_letters: page.map(letterBody),
        next: last !== undefined && found.length > limit ? `${last.diedMs}.${last.letterId}` : null,
      } satisfies ApiAnswer<'deadLetters'>);
    },
  },
  {
    ...ROUTES.replayDeadLetter,
    handle: async (call) => {
      const id = pathId(call);
      if (!(await inbox.replay(id))) throw new Problem('not_found');
      onAction({ event: 'dead_letter_replayed', id });
      return json(202, {} satisfies ApiAnswer<'accepted'>);
    },
  },
  {
    ...ROUTES.discardDeadLetter,
    handle: async (call) => {
      const id = pathId(call);
      if (!(await inbox.discard(id))) throw new Problem('not_found');
      onAction({ event: 'dead_letter_discarded', id });
      return NO_CONTENT;
    },
  },
];
