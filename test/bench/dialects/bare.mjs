import { findId } from './find-id.mjs';

/** Frames as ReplyX's clients send them, fanned out as they came. A connection is ready when it is open. */
export const bare = {
  greet: (_wire, _target, ready) => ready(),
  hear: () => {},
  encode: (_target, id, text) => `{"type":"message","id":"m${id}","text":"${text}"}`,
  idOf: findId,
};
