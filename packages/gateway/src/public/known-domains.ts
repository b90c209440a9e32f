import type { AssistantRecord, Directory, DomainIndex } from '@replyx/core';

/** Keeps the index what the records say: the domains of an assistant that is active, none of any other. */
export const noteAssistant = (domains: DomainIndex, assistantId: string, record: AssistantRecord | undefined): void => {
  if (record?.active === true) domains.put(assistantId, record.allowedDomains);
  else domains.delete(assistantId);
};

/** The directory as it is; every record that passes through it is noted in the index. */
export const watchDomains = (directory: Directory, domains: DomainIndex): Directory => ({
  assistant: async (assistantId) => {
    const record = await directory.assistant(assistantId);
    noteAssistant(domains, assistantId, record);
    return record;
  },
  putAssistant: async (assistantId, record) => {
    await directory.putAssistant(assistantId, record);
    noteAssistant(domains, assistantId, record);
  },
  deleteAssistant: async (assistantId) => {
    const wasThere = await directory.deleteAssistant(assistantId);
    noteAssistant(domains, assistantId, undefined);
    return wasThere;
  },
  dialog: (dialogId) => directory.dialog(dialogId),
  putDialog: (dialogId, record) => directory.putDialog(dialogId, record),
  openDialog: (dialogId, owner, mode) => directory.openDialog(dialogId, owner, mode),
  deleteDialog: (dialogId) => directory.deleteDialog(dialogId),
});
