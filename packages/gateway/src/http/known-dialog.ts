import type { Directory } from '@replyx/core';
import { Problem } from './problem.js';

/** Refuses a dialog without a record, where there must be one. Throws `Problem`. */
export const knownDialogs =
  (directory: Pick<Directory, 'dialog'>, mode: 'strict' | 'open') =>
  async (dialogId: string): Promise<void> => {
    if (mode === 'strict' && (await directory.dialog(dialogId)) === undefined) throw new Problem('not_found');
  };
