import type { Usage } from './process-stat.js';

/** Each server's share of a core, from one look at all of them to the next. */
export class CpuShares {
  readonly #last: (Usage | undefined)[] = [];
  readonly #shares: (number | null)[] = [];

  /**
   * In the order of the servers: CPU time by the time between the moments at which the server told. One that has told nothing new since
   * the last look (it is asked less often than we look) keeps its share; null for one that is away, or has been restarted.
   */
  next(usages: readonly (Usage | undefined)[]): (number | null)[] {
    return usages.map((usage, i) => {
      const last = this.#last[i];
      if (usage === undefined) return null;
      if (last !== undefined && usage.atMs <= last.atMs) return this.#shares[i] ?? null;
      this.#last[i] = usage;
      const isKnown = last !== undefined && usage.cpuSeconds >= last.cpuSeconds;
      const share = isKnown ? ((usage.cpuSeconds - last.cpuSeconds) * 1000) / (usage.atMs - last.atMs) : null;
      this.#shares[i] = share;
      return share;
    });
  }
}
