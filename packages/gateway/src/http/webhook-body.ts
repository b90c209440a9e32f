import { isIP } from 'node:net';
import type { Webhook } from '@replyx/core';
import type { API_BODIES } from '@replyx/protocol/schemas';
import type { z } from 'zod';
import { Problem } from './problem.js';

type WebhookBody = NonNullable<z.output<typeof API_BODIES.assistant>['webhook']>;

const isLoopback = (hostname: string): boolean => {
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
};

/** The URL as it is stored. Throws `Problem`. */
const readUrl = (text: string, production: boolean): string => {
  const refuse = (why: string): Problem => new Problem('bad_frame', `The field webhook.url ${why}.`);
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw refuse('is not a URL');
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refuse('is not an https URL');
  if (url.protocol === 'http:' && production && !isLoopback(url.hostname)) throw refuse('is not an https URL');
  if (url.username !== '' || url.password !== '') throw refuse('holds credentials: the signature is by webhook.secret');
  url.hash = '';
  return url.href;
};

/**
 * A record's webhook from what a caller puts. Secrets are never given back, so a body without `secret` keeps those that are stored.
 * Throws `Problem`.
 */
export const readWebhook = (
  { url, secret, previous_secret }: WebhookBody,
  stored: Webhook | undefined,
  production: boolean,
): Webhook => {
  const href = readUrl(url, production);
  if (secret !== undefined) {
    return { url: href, secret, ...(previous_secret === undefined ? {} : { previousSecret: previous_secret }) };
  }
  if (stored === undefined) throw new Problem('bad_frame', 'The field webhook.secret is missing: none is stored.');
  if (previous_secret !== undefined) {
    throw new Problem('bad_frame', 'The field webhook.previous_secret needs webhook.secret.');
  }
  return { ...stored, url: href };
};
