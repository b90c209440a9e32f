import type { ClientFrame, ServerFrame } from './frames.js';

export interface ClientFrameEntry {
  /** `operators`: refused with `not_allowed` from anybody else. */
  readonly who: 'all' | 'operators';
  /** Types of the one answer that carries the frame's `id`; empty where a frame has none. */
  readonly answers: readonly ServerFrame['type'][];
  readonly means: string;
}

export interface ServerFrameEntry {
  readonly who: 'all' | 'operators';
  readonly means: string;
}

/** What a client may send. Any of them may be answered by an `error`. */
export const CLIENT_FRAMES = {
  message: {
    who: 'all',
    answers: ['ack', 'error'],
    means: 'Publishes to everybody in the dialog. Sent again with its `id`, it is appended once.',
  },
  note: { who: 'operators', answers: ['ack', 'error'], means: 'Publishes to the operators in the dialog only.' },
  typing: {
    who: 'all',
    answers: [],
    means: 'Begins or ends typing; a start ends by itself. `track`: `internal` for operators only.',
  },
  read: { who: 'all', answers: [], means: "Raises the sender's read mark; it never falls and never passes the head." },
  history: {
    who: 'all',
    answers: ['history', 'error'],
    means: 'Asks for a page of publications: `before` or `after` an offset, not both; without either the newest.',
  },
  refresh: {
    who: 'all',
    answers: ['ack', 'error'],
    means: 'Replaces the token of the connection by a newer one of the same holder and dialog.',
  },
  handoff: {
    who: 'all',
    answers: ['ack', 'error'],
    means:
      'Asks for an operator (`request`), takes that back (`cancel`); for operators takes the dialog (`take`) or gives it back (`release`). Sent again with its `id`, it is done once; `conflict` where the present state does not allow it.',
  },
  ping: { who: 'all', answers: [], means: 'Asks whether the link lives; answered by `pong`.' },
} as const satisfies Record<ClientFrame['type'], ClientFrameEntry>;

/** What the gateway sends. */
export const SERVER_FRAMES = {
  connected: {
    who: 'all',
    means: 'The first frame: where the connection continues. Recovered publications follow it in order.',
  },
  message: { who: 'all', means: 'A publication of the main track; its sender gets it too.' },
  note: { who: 'operators', means: 'A publication of the internal track.' },
  ack: { who: 'all', means: 'The answer to a frame that was carried out; of a publication with its offset.' },
  error: { who: 'all', means: 'A frame was refused; with its `id` where it carried a usable one.' },
  history: { who: 'all', means: 'The answer to `history`: publications in ascending order, and the head.' },
  typing: { who: 'all', means: 'Somebody begins or ends typing.' },
  read: { who: 'all', means: 'Somebody has read up to an offset.' },
  presence: { who: 'all', means: 'Who is here (`snapshot`, after `connected`), then who comes and goes.' },
  event: { who: 'all', means: "A backend's own event; not kept in any history." },
  delta: {
    who: 'all',
    means:
      'A piece of an answer that is being written: add `text`, or with `whole` put it in place of what you have. With `done` drop what you have: it ended, and where it was finished a `message` with `stream_id` as `id` follows. What you have before `connected` is void.',
  },
  handoff: {
    who: 'all',
    means:
      'The state of the handoff has changed. Visitors see of an operator who has not written in the main track the role alone.',
  },
  reset: {
    who: 'all',
    means: "The client's copy of a track is not continuous with what follows: take the position and load `history`.",
  },
  disconnect: { who: 'all', means: 'The last frame before a close: its code, and what to do.' },
  pong: { who: 'all', means: 'The answer to `ping`.' },
} as const satisfies Record<ServerFrame['type'], ServerFrameEntry>;
