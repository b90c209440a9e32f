import { type Data, expireDialog } from './store.js';

/** Idle windows of senders are dropped after the longest that a configuration makes sense with. */
export const LONGEST_WINDOW_MS = 3_600_000;

/** Goes through everything that expires, an entry a step, and drops what is over. What comes meanwhile may be met or not. */
export function* collect(data: Data, nowMs: () => number): Generator<void> {
  for (const [dialogId, dialog] of data.dialogs) {
    if (expireDialog(dialog, nowMs(), LONGEST_WINDOW_MS)) data.dialogs.delete(dialogId);
    yield;
  }
  for (const [key, { expiresMs }] of data.windows) {
    if (expiresMs <= nowMs()) data.windows.delete(key);
    yield;
  }
  for (const [key, untilMs] of data.bans) {
    if ((untilMs.at(-1) ?? 0) <= nowMs()) data.bans.delete(key);
    yield;
  }
  for (const [key, scope] of data.places) {
    for (const [incarnation, places] of scope) {
      for (const [connectionId, { untilMs }] of places) if (untilMs <= nowMs()) places.delete(connectionId);
      if (places.size === 0) scope.delete(incarnation);
      yield;
    }
    if (scope.size === 0) data.places.delete(key);
    yield;
  }
}
