import { type RedisServer, TEST_ASSISTANT, TEST_TENANT, until } from '@replyx/testkit';
import { at } from '../../integration/world.js';
import type { Backend } from '../backend.js';
import type { ChatClient } from '../chat-client.js';
import { handoffPlay } from './handoff-play.js';
import { lockWorkers } from './lock-workers.js';
import type { PartOptions } from './part.js';
import { revoker } from './revoker.js';
import { streamingBot } from './streaming-bot.js';
import { sleep, type Turns } from './turns.js';
import { Webhook } from './webhook.js';

/** A node looks at the control stream four times a second. */
const HEARD_MS = 1_000;

/** All who do more than to write: an assistant that streams, workers under locks, operators who take over, a webhook, a revoker. */
export class Cast {
  readonly webhook: Webhook;
  readonly #options: PartOptions;
  readonly #turns: readonly Turns[];

  constructor(options: PartOptions & { readonly clients: readonly ChatClient[]; readonly backend: Backend }) {
    this.#options = options;
    this.webhook = new Webhook(options.journal, options.random);
    this.#turns = [streamingBot(options), lockWorkers(options), handoffPlay(options), revoker(options)];
  }

  /** Makes the assistant that has an inbox; resolves when every node that hears of news has heard. */
  async register(): Promise<void> {
    const { nodes } = this.#options;
    const record = { tenant: TEST_TENANT, inbox: true, webhook: this.webhook.address };
    let turn = 0;
    await until(
      async () => (await at(nodes, turn++).api.put(`/v1/assistants/${TEST_ASSISTANT}`, record)).status === 200,
      { what: 'the assistant to be registered', everyMs: 50 },
    );
    await sleep(HEARD_MS);
  }

  flow(): void {
    for (const turns of this.#turns) turns.flow();
  }

  quiet(): void {
    for (const turns of this.#turns) turns.quiet();
  }

  get busy(): number {
    return this.#turns.reduce((sum, { busy }) => sum + busy, 0);
  }

  /** Whether nothing waits to be delivered, by what is stored: a partition that no node serves is counted nowhere else. */
  async isDelivered(redis: RedisServer): Promise<boolean> {
    for (const counts of (await redis.cli('KEYS', '*:inbox:n')) as string[])
      if ((await redis.cli('HGET', counts, '~all')) !== null) return false;
    return true;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#turns.map((turns) => turns.stop()));
    await this.webhook.down();
  }
}
