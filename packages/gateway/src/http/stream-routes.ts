import {
  type Backplane,
  BackplaneUnavailable,
  type FinishedStream,
  finishStream,
  type Hub,
  type StreamAbortResult,
  type StreamAppendResult,
  type StreamOver,
  type StreamStartResult,
} from '@replyx/core';
import { BOUNDS } from '@replyx/protocol';
import { API_BODIES, type ApiAnswer } from '@replyx/protocol/schemas';
import type { z } from 'zod';
import { readBody } from './body.js';
import { type HttpRoute, json } from './http.js';
import { pathId } from './path-id.js';
import { Problem } from './problem.js';
import { publishProblem } from './publish-problem.js';
import { ROUTES } from './route-table.js';

type Body = z.output<typeof API_BODIES.stream>;

export interface StreamRoutesParts {
  readonly streams: Backplane['streams'];
  readonly hub: Pick<Hub, 'append'>;
  readonly directory: 'strict' | 'open';
  readonly newId: () => string;
  /** `result`: `ok`, or the code of the refusal. */
  readonly onStep: (action: Body['action'], result: string) => void;
}

type Answer = ApiAnswer<'stream'>;
type Of<A extends Body['action']> = Extract<Body, { action: A }>;

const OVER: Readonly<Record<StreamOver['how'], string>> = {
  finishing: 'The stream is finished.',
  finished: 'The stream is finished.',
  aborted: 'The stream was aborted.',
  expired: 'The stream has ended: nothing was added for too long.',
  stale_fence: 'The stream has ended: a newer holder, or a person, has the dialog.',
  closed: 'The stream has ended: the dialog is closed.',
};

const overProblem = ({ how }: StreamOver): Problem =>
  new Problem(how === 'stale_fence' || how === 'closed' ? how : 'conflict', OVER[how]);

type Refused = Exclude<
  StreamStartResult | StreamAppendResult | StreamAbortResult | FinishedStream,
  { readonly status: 'open' | 'aborted' | 'published' }
>;

const problemOf = (result: Refused, details: { readonly conflict?: string } = {}): Problem => {
  switch (result.status) {
    case 'over':
      return overProblem(result);
    case 'full':
      return new Problem(
        'rate_limited',
        `${BOUNDS.openStreams} answers are being written in the dialog already.`,
        result.retryAfterMs,
      );
    case 'too_large':
      return new Problem('too_large', `A stream's text has at most ${BOUNDS.textUnits} UTF-16 units.`);
    case 'conflict':
      return new Problem('conflict', details.conflict);
    default:
      return publishProblem(result.status);
  }
};

const openAnswer = (stream_id: string, { next, duplicate }: { next: number; duplicate: boolean }): Answer => ({
  stream_id,
  state: 'open',
  index: next,
  duplicate,
});

/** An assistant's answer while it is written. Any node may take any step. */
export const streamRoutes = ({ streams, hub, directory, newId, onStep }: StreamRoutesParts): HttpRoute[] => {
  const start = async (dialogId: string, { id, sender, fence }: Of<'start'>): Promise<Answer> => {
    const streamId = id ?? newId();
    const mustExist = directory === 'strict';
    const result = await streams.start({ dialogId, streamId, sender, fence, mustExist });
    if (result.status !== 'open') throw problemOf(result, { conflict: 'Another sender has a stream with this id.' });
    return openAnswer(streamId, result);
  };

  const append = async (dialogId: string, { stream_id: streamId, index, text }: Of<'append'>): Promise<Answer> => {
    const result = await streams.append({ dialogId, streamId, index, text });
    if (result.status !== 'open') throw problemOf(result, { conflict: 'The index is not the next one.' });
    return openAnswer(streamId, result);
  };

  const finish = async (dialogId: string, { stream_id: streamId, text, meta }: Of<'finish'>): Promise<Answer> => {
    const parts = { streams, append: hub.append.bind(hub) };
    const result = await finishStream(parts, { dialogId, streamId }, { text, meta });
    if (result.status !== 'published') {
      throw problemOf(result, { conflict: 'The stream has no text, or its id was used for another message.' });
    }
    const { epoch, offset, duplicate } = result;
    return { stream_id: streamId, state: 'finished', epoch, offset, duplicate };
  };

  const abort = async (dialogId: string, { stream_id: streamId }: Of<'abort'>): Promise<Answer> => {
    const result = await streams.abort({ dialogId, streamId });
    if (result.status !== 'aborted') throw problemOf(result);
    return { stream_id: streamId, state: 'aborted', duplicate: result.duplicate };
  };

  const perform = (dialogId: string, body: Body): Promise<Answer> => {
    switch (body.action) {
      case 'start':
        return start(dialogId, body);
      case 'append':
        return append(dialogId, body);
      case 'finish':
        return finish(dialogId, body);
      case 'abort':
        return abort(dialogId, body);
    }
  };

  return [
    {
      ...ROUTES.stream,
      handle: async (call) => {
        const body = readBody(call.body, API_BODIES.stream);
        try {
          const answer = await perform(pathId(call), body);
          onStep(body.action, 'ok');
          return json(200, answer);
        } catch (error) {
          if (error instanceof BackplaneUnavailable) onStep(body.action, 'unavailable');
          else if (error instanceof Problem) onStep(body.action, error.code);
          throw error;
        }
      },
    },
  ];
};
