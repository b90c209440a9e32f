import type { ChatClient } from '../chat-client.js';
import type { PartOptions } from './part.js';
import { askPatiently } from './patient-api.js';
import { Turns } from './turns.js';

/** A second by contract, each node looking four times in it; the rest is for a machine that is slow. */
const WITHIN_MS = 3_000;

/** Revokes a visitor's token now and then. */
export const revoker = ({
  journal,
  random,
  nodes,
  clients,
}: PartOptions & { readonly clients: readonly ChatClient[] }): Turns => {
  const visitors = clients.filter(({ role }) => role === 'visitor');
  const turn = async (): Promise<void> => {
    const live = visitors.filter(({ isLive }) => isLive);
    if (live.length === 0) return;
    const { pass } = random.pick(live);
    journal.write({ kind: 'revoking', name: pass, pass });
    const answer = await askPatiently({ nodes, random, isRunning: () => turns.running }, (api) =>
      api.post('/v1/revocations', { jti: pass }),
    );
    if (answer?.status === 201) journal.write({ kind: 'revoked', name: pass, pass, withinMs: WITHIN_MS });
    else if (answer !== undefined) throw new Error(`a revocation was answered with ${answer.status}`);
  };
  const turns = new Turns({ random, width: 1, pauseMs: [700, 2_500], turn });
  return turns;
};
