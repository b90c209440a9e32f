import { CommandFailure } from '../commands/command.js';

export interface DemoTokens {
  readonly visitor: string;
  readonly operator: string;
}

export const DEMO_DIALOG = 'demo';
const TENANT = 'demo';
const ASSISTANT = 'demo';
const VISITOR = 'visitor-1';
const LIFE_SECONDS = 43_200;

/** Registers one assistant and one dialog through the internal listener, as a backend would, and mints a token a side. */
export const makeDemoDialog = async (internalUrl: string, apiKey: string): Promise<DemoTokens> => {
  const call = async (method: string, path: string, body: unknown): Promise<Record<string, unknown>> => {
    const response = await fetch(`${internalUrl}${path}`, {
      method,
      headers: { Authorization: `Bearer ${apiKey}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
    const answer = (await response.json()) as Record<string, unknown>;
    if (!response.ok)
      throw new CommandFailure(`${method} ${path} answered ${response.status} ${String(answer['code'])}`);
    return answer;
  };
  const token = async (claims: Record<string, unknown>): Promise<string> =>
    String((await call('POST', '/v1/tokens', { tenant: TENANT, ttl_seconds: LIFE_SECONDS, ...claims }))['token']);

  await call('PUT', `/v1/assistants/${ASSISTANT}`, { tenant: TENANT, allowed_domains: ['localhost', '127.0.0.1'] });
  await call('PUT', `/v1/dialogs/${DEMO_DIALOG}`, { tenant: TENANT, assistant_id: ASSISTANT, visitor_id: VISITOR });
  return {
    visitor: await token({
      type: 'visitor',
      sub: VISITOR,
      name: 'Visitor',
      assistant_id: ASSISTANT,
      dialog_id: DEMO_DIALOG,
      kind: 'site',
      allowed_domains: ['localhost', '127.0.0.1'],
    }),
    operator: await token({ type: 'operator', sub: 'operator-1', name: 'Operator', role: 'operator' }),
  };
};
