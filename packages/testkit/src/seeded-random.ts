/** Reproducible randomness; it has the shape of core's `Random`. Not for secrets. */
export interface SeededRandom {
  readonly seed: number;
  bytes(count: number): Uint8Array;
  /** At least 0, below 1. */
  float(): number;
  /** A whole number, at least 0, below `bound`. */
  below(bound: number): number;
  /** One element; throws for an empty list. */
  pick<T>(list: readonly T[]): T;
}

/** The mulberry32 generator: 32 bits of state, equal seeds give equal sequences. */
export function seededRandom(seed: number): SeededRandom {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const float = (): number => next() / 0x1_0000_0000;
  const below = (bound: number): number => Math.floor(float() * bound);
  return {
    seed,
    float,
    below,
    bytes(count) {
      const filled = new Uint8Array(count);
      for (let index = 0; index < count; index++) filled[index] = next() & 0xff;
      return filled;
    },
    pick(list) {
      if (list.length === 0) throw new Error('nothing to pick from');
      return list[below(list.length)] as (typeof list)[number];
    },
  };
}

/** The seed of a chaos run: `TEST_SEED`, else a fresh one. Printed, so that a failure can be run again. */
export function chaosSeed(name: string, env: NodeJS.ProcessEnv = process.env): number {
  const given = env['TEST_SEED'];
  const seed = given === undefined || given === '' ? Math.floor(Math.random() * 0x1_0000_0000) : Number(given) >>> 0;
  console.log(`${name}: seed ${seed} (repeat with TEST_SEED=${seed})`);
  return seed;
}
