import { CommandFailure } from '../command.js';
import { type InternalApi, inParallel } from '../internal-api.js';
import { dialogIdOf, type LoadPlan } from '../load-plan.js';

const WIDTH = 32;

const expectOk = (what: string, status: number): void => {
  if (status === 401) throw new CommandFailure('the internal listener does not accept the API key');
  if (status >= 300) throw new CommandFailure(`${what} was not made (HTTP ${status})`);
};

/** Registers the run's assistant and dialogs, as a backend does. */
export const makeDialogs = async (api: InternalApi, plan: LoadPlan): Promise<void> => {
  const { run, tenant, assistantId, origin, dialogs } = plan;
  expectOk(
    'the assistant',
    await api.call('PUT', `/v1/assistants/${assistantId}`, { tenant, allowed_domains: [new URL(origin).hostname] }),
  );
  await inParallel(dialogs, WIDTH, async (n) => {
    const id = dialogIdOf(run, n);
    expectOk(`dialog ${n}`, await api.call('PUT', `/v1/dialogs/${id}`, { tenant, assistant_id: assistantId }));
  });
};

/** Erases what the run has made: records in the directory have no end of their own. Best effort. */
export const removeDialogs = async (api: InternalApi, plan: LoadPlan, ownAssistant: boolean): Promise<number> => {
  let left = 0;
  await inParallel(plan.dialogs, WIDTH, async (n) => {
    const status = await api.call('DELETE', `/v1/dialogs/${dialogIdOf(plan.run, n)}`).catch(() => 0);
    if (status < 200 || (status >= 300 && status !== 404)) left += 1;
  });
  if (ownAssistant) await api.call('DELETE', `/v1/assistants/${plan.assistantId}`).catch(() => 0);
  return left;
};
