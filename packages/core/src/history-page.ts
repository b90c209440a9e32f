import type { ReadResult } from './ports.js';

/**
 * Cuts a page to at most `maxBytes` of frames, never below one entry: an answer must fit its reader's outbox. What is cut off
 * is on the far side of the direction that was read, so that the next page goes on from there.
 */
export const boundPage = (page: ReadResult, direction: 'after' | 'before', maxBytes: number): ReadResult => {
  const ordered = direction === 'after' ? page.entries : page.entries.toReversed();
  let bytes = 0;
  const fits = ordered.findIndex((entry, index) => {
    bytes += entry.frame.byteLength;
    return bytes > maxBytes && index > 0;
  });
  if (fits === -1) return page;
  const kept = ordered.slice(0, fits);
  return { ...page, entries: direction === 'after' ? kept : kept.reverse(), more: true };
};
