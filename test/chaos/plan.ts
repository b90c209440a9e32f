import { type SeededRandom, seededRandom } from '@replyx/testkit';

/** What a fault strikes, and how it is undone, stands with its action in `faults.ts`. */
export const FAULT_KINDS = [
  'node-kill',
  'node-stop',
  'node-restart',
  'rolling-restart',
  'redis-kill',
  'redis-restart',
  'redis-stop',
  'redis-flush',
  'pubsub-kill',
  'net-blackhole',
  'net-one-way',
  'net-refuse',
  'net-cut',
  'net-reset',
  'net-delay',
  'net-lost-reply',
  'client-slow',
  'client-half-open',
  'client-herd',
  'webhook-down',
  'webhook-broken',
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

/** Those after which Redis has less than it acknowledged. */
export const LOSES_DATA: ReadonlySet<FaultKind> = new Set(['redis-flush']);

export interface Fault {
  readonly kind: FaultKind;
  /** Index of the node, modulo how many there are. */
  readonly node: number;
  /** Which way, where that makes a difference. */
  readonly direction: 'up' | 'down';
  /** How long it stands before it is undone, in milliseconds. */
  readonly holdMs: number;
  /** Share of the clients that a client fault strikes. */
  readonly share: number;
}

/** Faults that strike together, and what follows. */
export interface Round {
  readonly faults: readonly Fault[];
  /** True: all are waited for to be well, and the time that takes is measured. False: the next round follows at once. */
  readonly settles: boolean;
  readonly pauseMs: number;
}

/** Longest and shortest holds; beyond the node's TTL of 3 s and the command deadline of 2 s, and below them. */
const HOLD_MS: Partial<Record<FaultKind, readonly [number, number]>> = {
  'node-kill': [200, 5_000],
  'node-stop': [300, 7_000],
  'redis-kill': [200, 4_000],
  'redis-stop': [300, 5_000],
  'net-blackhole': [300, 8_000],
  'net-one-way': [300, 8_000],
  'net-refuse': [300, 4_000],
  'net-delay': [500, 3_000],
  'net-lost-reply': [300, 1_500],
  'client-slow': [500, 4_000],
  'webhook-down': [500, 5_000],
  'webhook-broken': [500, 4_000],
};

/** A second fault may join one that leaves Redis and the other nodes alone. */
const JOINABLE: readonly FaultKind[] = [
  'net-cut',
  'net-reset',
  'net-delay',
  'client-slow',
  'client-half-open',
  'client-herd',
  'webhook-broken',
];
const NEEDS_QUIET: ReadonlySet<FaultKind> = new Set([
  'rolling-restart',
  'redis-kill',
  'redis-restart',
  'redis-stop',
  'redis-flush',
]);

const shuffled = <T>(random: SeededRandom, list: readonly T[]): T[] => {
  const deck = [...list];
  for (let i = deck.length - 1; i > 0; i -= 1) {
    const j = random.below(i + 1);
    [deck[i], deck[j]] = [deck[j] as T, deck[i] as T];
  }
  return deck;
};

const faultOf = (random: SeededRandom, kind: FaultKind, node = random.below(1_000)): Fault => {
  const [least, most] = HOLD_MS[kind] ?? [0, 0];
  return {
    kind,
    node,
    direction: random.pick(['up', 'down'] as const),
    holdMs: Math.round(least + random.float() * (most - least)),
    share: 0.1 + random.float() * 0.9,
  };
};

/**
 * The rounds of a seed, without end: equal seeds and kinds give equal rounds. Every kind comes once in as many rounds as there are
 * kinds, in an order of its own each time.
 */
export function* planOf(seed: number, kinds: readonly FaultKind[] = FAULT_KINDS): Generator<Round, never> {
  if (kinds.length === 0) throw new Error('a plan needs a kind of fault');
  const random = seededRandom(seed);
  for (;;) {
    for (const kind of shuffled(random, kinds)) {
      const first = faultOf(random, kind);
      const joined = !NEEDS_QUIET.has(kind) && random.below(3) === 0;
      const second = joined ? [faultOf(random, random.pick(JOINABLE), first.node + 1)] : [];
      yield {
        faults: [first, ...second],
        settles: random.below(3) !== 0 || NEEDS_QUIET.has(kind),
        pauseMs: Math.round(200 + random.float() * 1_200),
      };
    }
  }
}

/** Index of the node that a fault strikes; `undefined`: none, or all. */
export const struckNode = ({ kind, node }: Fault, nodes: number): number | undefined =>
  kind.startsWith('node-') || kind.startsWith('net-') ? node % nodes : undefined;

export const describeFault = (fault: Fault, nodes: number): string => {
  const { kind, direction, holdMs, share } = fault;
  const node = struckNode(fault, nodes);
  const where = kind.startsWith('client-')
    ? ` ${Math.round(share * 100)} %`
    : node === undefined
      ? ''
      : ` node-${node + 1}`;
  const way = kind === 'net-one-way' ? ` ${direction}` : '';
  return `${kind}${where}${way}${holdMs > 0 ? ` ${holdMs} ms` : ''}`;
};
