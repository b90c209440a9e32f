import type { SeededRandom } from '@replyx/testkit';
import type { WorldNode } from '../../integration/world.js';
import type { Journal } from '../journal.js';

/** What each of the cast is given. */
export interface PartOptions {
  readonly journal: Journal;
  readonly random: SeededRandom;
  /** One is picked for each attempt. */
  readonly nodes: readonly WorldNode[];
  readonly dialogs: readonly string[];
}
