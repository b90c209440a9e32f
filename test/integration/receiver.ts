import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One delivery that came in whole. */
export interface Received {
  readonly deliveryId: string;
  readonly attempt: number;
  readonly path: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests read fields of what they are checking
  readonly body: any;
  /** Which of the given secrets signed it. */
  readonly signedBy: readonly string[];
  readonly atMs: number;
  /** What it was answered with; `undefined`: with nothing. */
  readonly status: number | undefined;
}

/** What a receiver does with a delivery: a status, at once or late; `hang` (no answer), `die` (the connection is cut). */
export type Behaviour = number | { readonly status: number; readonly afterMs: number } | 'hang' | 'die';

/** Verified as a customer would, by what the documentation says and nothing of the gateway's own code. */
const signersOf = (header: string, raw: string, secrets: readonly string[]): string[] => {
  const parts = header.split(',').map((part) => part.split('=') as [string, string]);
  const time = parts.find(([name]) => name === 't')?.[1] ?? '';
  if (Math.abs(Number(time) - Date.now() / 1000) > 300) return [];
  const given = parts.filter(([name]) => name === 'v1').map(([, hex]) => Buffer.from(hex, 'hex'));
  return secrets.filter((secret) => {
    const expected = createHmac('sha256', secret).update(`${time}.${raw}`).digest();
    return given.some((one) => one.length === expected.length && timingSafeEqual(one, expected));
  });
};

/** A backend that takes webhooks on a port of its own, and can be away, slow or broken. */
export class Receiver {
  readonly received: Received[] = [];
  behaviour: (delivery: Omit<Received, 'status'>) => Behaviour = () => 204;
  port = 0;
  readonly #secrets: readonly string[];
  #server: Server | undefined;

  constructor(secrets: readonly string[]) {
    this.#secrets = secrets;
  }

  get isUp(): boolean {
    return this.#server !== undefined;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Also after `down`, on the same port. */
  async up(): Promise<void> {
    const server = createServer((request, response) => this.#take(request, response));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.port, '127.0.0.1', resolve);
    });
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  /** Deliveries of a dialog that were acknowledged, in the order in which they came. */
  acknowledged(dialogId: string): Received[] {
    return this.received.filter(
      ({ body, status }) => body.dialog_id === dialogId && status !== undefined && status >= 200 && status < 300,
    );
  }

  /** The texts of its messages, without repeats of an acknowledged delivery. */
  texts(dialogId: string): string[] {
    const seen = new Set<string>();
    return this.acknowledged(dialogId).flatMap(({ deliveryId, body }) => {
      if (seen.has(deliveryId) || body.kind !== 'message') return [];
      seen.add(deliveryId);
      return [body.message.text as string];
    });
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on('error', () => {});
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const raw = Buffer.concat(chunks).toString('utf8');
      const delivery = {
        deliveryId: String(request.headers['replyx-delivery']),
        attempt: Number(request.headers['replyx-attempt']),
        path: request.url ?? '',
        body: JSON.parse(raw),
        signedBy: signersOf(String(request.headers['replyx-signature']), raw, this.#secrets),
        atMs: performance.now(),
      };
      const behaviour = this.behaviour(delivery);
      const { status, afterMs } =
        typeof behaviour === 'string'
          ? { status: undefined, afterMs: 0 }
          : typeof behaviour === 'number'
            ? { status: behaviour, afterMs: 0 }
            : behaviour;
      this.received.push({ ...delivery, status });
      if (behaviour === 'die') request.socket.destroy();
      else if (status !== undefined && afterMs === 0) response.writeHead(status).end();
      else if (status !== undefined) setTimeout(() => response.writeHead(status).end(), afterMs);
    });
  }
}
