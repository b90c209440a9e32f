/** One attempt; resolves whether it went well. Must not reject. */
type Job = () => Promise<boolean>;

/** Assistants that are remembered for having failed. */
const MOST_LANES = 10_000;

interface Lane {
  readonly waiting: Job[];
  running: number;
  isFailing: boolean;
}

export interface DeliverySlotsConfig {
  /** Attempts of this node at once. */
  readonly total: number;
  /** Of one assistant; one whose last attempt failed has a quarter of it, and all of those together at most half of `total`. */
  readonly perAssistant: number;
}

/**
 * Attempts that run at once, shared fairly among assistants: by turns, each with a bound of its own. Those whose backend is slow or
 * dead can never take what the others need. What waits is bounded by those who ask.
 */
export class DeliverySlots {
  private readonly config: DeliverySlotsConfig;
  /** In the order of their turns. */
  private readonly lanes = new Map<string, Lane>();
  private running = 0;
  private failing = 0;

  constructor(config: DeliverySlotsConfig) {
    this.config = config;
  }

  get runningCount(): number {
    return this.running;
  }

  /** Runs the job when its turn comes. */
  run(assistantId: string, job: Job): void {
    const lane = this.lanes.get(assistantId) ?? { waiting: [], running: 0, isFailing: false };
    lane.waiting.push(job);
    this.lanes.set(assistantId, lane);
    this.next();
  }

  private next(): void {
    // An assistant that had its turn goes to the end; who has no room now keeps its place.
    for (let started = true; started && this.running < this.config.total; ) {
      started = false;
      for (const [assistantId, lane] of this.lanes) {
        if (lane.waiting.length === 0 || !this.hasRoom(lane)) continue;
        this.lanes.delete(assistantId);
        this.lanes.set(assistantId, lane);
        this.start(assistantId, lane);
        started = true;
        break;
      }
    }
  }

  private hasRoom(lane: Lane): boolean {
    const { total, perAssistant } = this.config;
    if (!lane.isFailing) return lane.running < perAssistant;
    return lane.running < Math.ceil(perAssistant / 4) && this.failing < total / 2;
  }

  private start(assistantId: string, lane: Lane): void {
    const job = lane.waiting.shift() as Job;
    const wasFailing = lane.isFailing;
    lane.running += 1;
    this.running += 1;
    if (wasFailing) this.failing += 1;
    void job().then((isWell) => {
      lane.running -= 1;
      this.running -= 1;
      if (wasFailing) this.failing -= 1;
      lane.isFailing = !isWell;
      const isIdle = lane.running === 0 && lane.waiting.length === 0;
      if (isIdle && (isWell || this.lanes.size > MOST_LANES)) this.lanes.delete(assistantId);
      this.next();
    });
  }
}
