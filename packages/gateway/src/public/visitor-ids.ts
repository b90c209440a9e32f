import { createHmac } from 'node:crypto';
import { lengthPrefixed } from '../auth/length-prefixed.js';

/**
 * The ids that belong to a visitor's secret (32 bytes in base64url) at an assistant: the same secret gives the same dialog, and
 * without it neither id leads to the other. No key of the gateway is involved, so rotation changes none.
 */
export const visitorIds = (
  secret: string,
  tenant: string,
  assistantId: string,
): { readonly dialogId: string; readonly visitorId: string } => {
  const key = Buffer.from(secret, 'base64url');
  const id = (label: string): string =>
    createHmac('sha256', key)
      .update(lengthPrefixed(label, tenant, assistantId))
      .digest('base64url');
  return { dialogId: id('replyx dialog v1'), visitorId: id('replyx visitor v1') };
};
