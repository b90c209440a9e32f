import type { ChatClient } from '../chat-client.js';
import type { PartOptions } from './part.js';
import { Turns } from './turns.js';

/**
 * People who take dialogs from the assistant and from one another, give them back, ask for a person and think better of it; now and
 * then two operators take at once.
 */
export const handoffPlay = ({
  random,
  dialogs,
  clients,
}: PartOptions & { readonly clients: readonly ChatClient[] }): Turns => {
  const turn = async (): Promise<void> => {
    const dialog = random.pick(dialogs);
    const crowd = clients.filter((client) => client.dialog === dialog && client.isLive);
    const operators = crowd.filter(({ role }) => role === 'operator');
    const choice = random.below(10);
    if (choice < 4) for (const operator of operators.slice(0, 2)) operator.act('take');
    else if (choice < 8) {
      if (operators.length > 0) random.pick(operators).act('release');
    } else if (crowd.length > 0) random.pick(crowd).act(choice === 8 ? 'request' : 'cancel');
  };
  return new Turns({ random, width: 1, pauseMs: [50, 350], turn });
};
