import type { AssistantRecord, ControlMirror, Directory, InboxDelivery, InboxRoute } from '@replyx/core';
import type { WebhookSender } from './webhook-sender.js';

export interface InboxDeliveryParts {
  readonly control: Pick<ControlMirror, 'assistant'>;
  readonly directory: Pick<Directory, 'assistant'>;
  readonly sender: Pick<WebhookSender, 'send'>;
}

const routeOf = (record: AssistantRecord | undefined): InboxRoute => {
  if (record?.inbox !== true) return 'none';
  return record.webhook === undefined ? 'groups' : 'webhook';
};

/** How an inbox's entries reach their backends: by what this node knows of the assistant, and by the directory where that may be old. */
export const createInboxDelivery = ({ control, directory, sender }: InboxDeliveryParts): InboxDelivery => ({
  routeOf: (assistantId) => routeOf(control.assistant(assistantId)),
  confirmRoute: async (assistantId) => routeOf(await directory.assistant(assistantId)),
  deliver: async (entry, { partition, ...attempt }) => {
    const webhook =
      control.assistant(entry.assistantId)?.webhook ?? (await directory.assistant(entry.assistantId))?.webhook;
    if (webhook === undefined) return 'postponed';
    return sender.send(webhook, entry, { ...attempt, deliveryId: `${partition}-${entry.id}` });
  },
});
