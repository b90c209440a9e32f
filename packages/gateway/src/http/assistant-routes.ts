import type { AssistantRecord, Backplane } from '@replyx/core';
import { API_BODIES, type ApiAnswer } from '@replyx/protocol/schemas';
import { readBody } from './body.js';
import { type HttpRoute, json, NO_CONTENT } from './http.js';
import { pathId } from './path-id.js';
import { Problem } from './problem.js';
import { ROUTES } from './route-table.js';
import { readWebhook } from './webhook-body.js';

const assistantBody = (record: AssistantRecord): ApiAnswer<'assistant'> => ({
  tenant: record.tenant,
  active: record.active,
  allowed_domains: [...record.allowedDomains],
  widget_version: record.widgetVersion,
  inbox: record.inbox,
  ...(record.webhook === undefined
    ? {}
    : { webhook: { url: record.webhook.url, rotating: record.webhook.previousSecret !== undefined } }),
  limits: record.limits ?? {},
});

const definedNumbers = (values: Readonly<Record<string, number | undefined>>): Record<string, number> =>
  Object.fromEntries(Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));

/** The directory of assistants. */
export const assistantRoutes = ({ directory }: Pick<Backplane, 'directory'>, production: boolean): HttpRoute[] => [
  {
    ...ROUTES.putAssistant,
    handle: async (call) => {
      const body = readBody(call.body, API_BODIES.assistant);
      const assistantId = pathId(call);
      if (body.webhook !== undefined && !body.inbox) throw new Problem('bad_frame', 'The field webhook needs inbox.');
      const stored = body.webhook === undefined ? undefined : await directory.assistant(assistantId);
      const record: AssistantRecord = {
        tenant: body.tenant,
        active: body.active,
        allowedDomains: body.allowed_domains,
        widgetVersion: body.widget_version,
        inbox: body.inbox,
        ...(body.webhook === undefined ? {} : { webhook: readWebhook(body.webhook, stored?.webhook, production) }),
        limits: definedNumbers(body.limits ?? {}),
      };
      await directory.putAssistant(assistantId, record);
      return json(200, assistantBody(record));
    },
  },
  {
    ...ROUTES.getAssistant,
    handle: async (call) => {
      const record = await directory.assistant(pathId(call));
      if (record === undefined) throw new Problem('not_found');
      return json(200, assistantBody(record));
    },
  },
  {
    ...ROUTES.deleteAssistant,
    handle: async (call) => {
      if (!(await directory.deleteAssistant(pathId(call)))) throw new Problem('not_found');
      return NO_CONTENT;
    },
  },
];
