import * as http from 'node:http';
import * as https from 'node:https';
import type { Clock, DeliveryResult, InboxEntry, Webhook } from '@replyx/core';
import { ForbiddenTarget, type TargetGuard } from './target-guard.js';
import { webhookSignature } from './webhook-signature.js';

export interface WebhookAttempt {
  /** Names the delivery; the same in every attempt of it. */
  readonly deliveryId: string;
  readonly number: number;
  readonly signal: AbortSignal;
}

export interface WebhookSender {
  /** Posts one entry. Never rejects, and settles within the deadline. */
  send(webhook: Webhook, entry: InboxEntry, attempt: WebhookAttempt): Promise<DeliveryResult>;
  /** Cuts every connection. */
  close(): void;
}

export interface WebhookSenderParts {
  readonly guard: TargetGuard;
  readonly clock: Pick<Clock, 'nowMs' | 'schedule'>;
  readonly version: string;
  /** Until the answer's status is there; default 10000. */
  readonly deadlineMs?: number;
}

const DEADLINE_MS = 10_000;
/** An answer's body is not read for what it says; one that is larger or slower costs its connection. */
const MOST_BODY_BYTES = 65_536;
const BODY_DEADLINE_MS = 2_000;
const IDLE_SOCKET_MS = 15_000;
const IDLE_SOCKETS_A_HOST = 8;
const IDLE_SOCKETS = 256;

/** The entry's own fields, with the delivery's id first. */
export const webhookBody = (entry: Pick<InboxEntry, 'body'>, deliveryId: string): string =>
  `{"id":${JSON.stringify(deliveryId)},${entry.body.slice(1)}`;

const isForbidden = (error: unknown): boolean =>
  error instanceof ForbiddenTarget ||
  (error instanceof AggregateError && error.errors.some((one) => one instanceof ForbiddenTarget));

/** The server closed a connection that waited for the next request, at the moment at which that came. */
const isStaleConnection = (error: NodeJS.ErrnoException, request: http.ClientRequest): boolean =>
  request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');

export const createWebhookSender = ({
  guard,
  clock,
  version,
  deadlineMs = DEADLINE_MS,
}: WebhookSenderParts): WebhookSender => {
  const options = {
    keepAlive: true,
    timeout: IDLE_SOCKET_MS,
    maxFreeSockets: IDLE_SOCKETS_A_HOST,
    maxTotalSockets: IDLE_SOCKETS,
    lookup: guard.lookup,
  };
  const agents = { http: new http.Agent(options), https: new https.Agent(options) };

  const discard = (response: http.IncomingMessage): void => {
    let bytes = 0;
    const cancel = clock.schedule(BODY_DEADLINE_MS, () => response.destroy());
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength;
      if (bytes > MOST_BODY_BYTES) response.destroy();
    });
    response.on('error', () => {});
    response.on('close', cancel);
  };

  const post = (
    url: URL,
    headers: Readonly<Record<string, string | number>>,
    body: string,
    signal: AbortSignal,
    mayRepeat: boolean,
  ): Promise<DeliveryResult> =>
    new Promise((resolve) => {
      const isTls = url.protocol === 'https:';
      const request = (isTls ? https : http).request(url, {
        method: 'POST',
        agent: isTls ? agents.https : agents.http,
        headers,
        signal,
      });
      request.on('response', (response) => {
        const { statusCode = 0 } = response;
        discard(response);
        resolve(statusCode >= 200 && statusCode < 300 ? 'delivered' : 'refused');
      });
      request.on('error', (error) => {
        if (signal.aborted) resolve('aborted');
        else if (isForbidden(error)) resolve('forbidden');
        else if (mayRepeat && isStaleConnection(error, request)) {
          resolve(post(url, headers, body, signal, false));
        } else resolve('unreachable');
      });
      request.end(body);
    });

  return {
    async send(webhook, entry, { deliveryId, number, signal }) {
      if (signal.aborted) return 'aborted';
      const body = webhookBody(entry, deliveryId);
      const url = new URL(webhook.url);
      try {
        guard.check(url.hostname);
      } catch (error) {
        if (error instanceof ForbiddenTarget) return 'forbidden';
        throw error;
      }
      // One signal for the request: by the lease's end, or by the deadline.
      const controller = new AbortController();
      const abort = (): void => controller.abort();
      signal.addEventListener('abort', abort);
      const cancel = clock.schedule(deadlineMs, abort);
      try {
        const result = await post(
          url,
          {
            'Content-Type': 'application/json',
            'Content-Length': Buffer.byteLength(body),
            'User-Agent': `ReplyX/${version}`,
            'ReplyX-Delivery': deliveryId,
            'ReplyX-Attempt': number,
            'ReplyX-Signature': webhookSignature(body, webhook, clock.nowMs()),
            ...(entry.replayOf === undefined ? {} : { 'ReplyX-Replay-Of': entry.replayOf }),
          },
          body,
          controller.signal,
          true,
        );
        if (result !== 'aborted') return result;
        return signal.aborted ? 'aborted' : 'timeout';
      } finally {
        cancel();
        signal.removeEventListener('abort', abort);
      }
    },
    close() {
      agents.http.destroy();
      agents.https.destroy();
    },
  };
};
