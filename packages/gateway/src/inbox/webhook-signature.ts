import { createHmac } from 'node:crypto';
import type { Webhook } from '@replyx/core';

/**
 * The header by which a receiver knows a delivery for ours: `t=<seconds>,v1=<hex>`, where `v1` is HMAC-SHA256 by the secret over
 * `<t>.<body>`. While a secret is replaced there is a `v1` by each; one that matches is enough. `t` is of the attempt, so that a
 * receiver can refuse what was recorded long ago.
 */
export const webhookSignature = (
  body: string,
  { secret, previousSecret }: Pick<Webhook, 'secret' | 'previousSecret'>,
  nowMs: number,
): string => {
  const seconds = Math.floor(nowMs / 1_000);
  const sign = (key: string): string => createHmac('sha256', key).update(`${seconds}.${body}`).digest('hex');
  const secrets = previousSecret === undefined ? [secret] : [secret, previousSecret];
  return [`t=${seconds}`, ...secrets.map((key) => `v1=${sign(key)}`)].join(',');
};
