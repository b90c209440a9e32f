import type { SeededRandom } from '@replyx/testkit';
import { type Behaviour, Receiver } from '../../integration/receiver.js';
import { digestOf, type Journal } from '../journal.js';

const SECRET = 'the-secret-of-the-webhook-under-chaos';

/** The backend to which the inbox is posted: sometimes slow, broken, or gone in the middle. */
export class Webhook {
  readonly #receiver = new Receiver([SECRET]);
  readonly #random: SeededRandom;
  #isBroken = false;
  #isSound = false;

  constructor(journal: Journal, random: SeededRandom) {
    this.#random = random;
    this.#receiver.behaviour = ({ body, signedBy }) => {
      const behaviour = this.#behave();
      if (body.kind === 'message') {
        const { id, offset, text } = body.message;
        const taken = signedBy.length > 0 && typeof behaviour !== 'string' && statusOf(behaviour) === 204;
        const { dialog_id: dialog, epoch } = body;
        journal.write({ kind: 'delivered', dialog, id, digest: digestOf(text), epoch, offset, taken });
      }
      return behaviour;
    };
  }

  /** For the record of the assistant. */
  get address(): { readonly url: string; readonly secret: string } {
    return { url: `${this.#receiver.url}/hook`, secret: SECRET };
  }

  up(): Promise<void> {
    return this.#receiver.up();
  }

  /** Nobody listens; what was under way is cut. */
  down(): Promise<void> {
    return this.#receiver.down();
  }

  /** Nearly nothing is acknowledged. */
  break(): void {
    this.#isBroken = true;
  }

  mend(): void {
    this.#isBroken = false;
  }

  /** Everything is acknowledged from here on. */
  async sound(): Promise<void> {
    this.#isSound = true;
    if (!this.#receiver.isUp) await this.#receiver.up();
  }

  #behave(): Behaviour {
    const random = this.#random;
    if (this.#isSound) return 204;
    if (this.#isBroken) return random.pick([500, 503, 'die', { status: 204, afterMs: 1_500 }] as const);
    const dice = random.below(100);
    if (dice < 2) return 500;
    if (dice < 4) return 'die';
    if (dice < 6) return { status: 204, afterMs: random.below(1_000) };
    return 204;
  }
}

const statusOf = (behaviour: Exclude<Behaviour, string>): number =>
  typeof behaviour === 'number' ? behaviour : behaviour.status;
