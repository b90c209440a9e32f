import type { ApiAnswer, InternalApi, SeededRandom } from '@replyx/testkit';
import type { WorldNode } from '../../integration/world.js';
import { sleep } from './turns.js';

const RETRY_MS = 150;

export interface PatientOptions {
  readonly nodes: readonly WorldNode[];
  readonly random: SeededRandom;
  readonly isRunning: () => boolean;
}

/** Asks once, any node. `undefined`: nobody knows what came of it. */
export const askOnce = async (
  { nodes, random }: Pick<PatientOptions, 'nodes' | 'random'>,
  call: (api: InternalApi) => Promise<ApiAnswer>,
): Promise<ApiAnswer | undefined> => {
  try {
    const answer = await call(random.pick(nodes).api);
    return answer.status >= 500 ? undefined : answer;
  } catch {
    return undefined;
  }
};

/** Asks, each time any node, until something is known. `undefined`: it was told to give up. */
export const askPatiently = async (
  options: PatientOptions,
  call: (api: InternalApi) => Promise<ApiAnswer>,
): Promise<ApiAnswer | undefined> => {
  while (options.isRunning()) {
    const answer = await askOnce(options, call);
    if (answer !== undefined) return answer;
    await sleep(RETRY_MS);
  }
  return undefined;
};
