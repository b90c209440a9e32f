import type { Backplane } from '@replyx/core';
import { Problem } from './problem.js';

export interface KnownDialogsParts {
  readonly backplane: Pick<Backplane, 'directory'>;
  readonly directory: 'strict' | 'open';
}

/** Refuses a dialog without a record, where there must be one. Throws `Problem`. */
export const knownDialogs =
  ({ backplane, directory }: KnownDialogsParts) =>
  async (dialogId: string): Promise<void> => {
    if (directory === 'strict' && (await backplane.directory.dialog(dialogId)) === undefined)
      throw new Problem('not_found');
  };
