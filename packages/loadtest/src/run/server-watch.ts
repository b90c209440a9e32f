import { processUsage, type Usage } from './process-stat.js';
import { scrapedUsage } from './scraped-metrics.js';

export type ServerSource =
  | { readonly name: string; readonly pid: number }
  | { readonly name: string; readonly metricsUrl: string };

/** The use of all servers at one moment, in the order of the sources; undefined for one that does not tell. */
export interface ServerSample {
  readonly atMs: number;
  readonly usages: readonly (Usage | undefined)[];
}

const SCRAPE_EVERY_MS = 5_000;

/** Watches servers: processes of this machine by /proc whenever it is asked, others by their `/metrics` every 5 s. */
export class ServerWatch {
  readonly sources: readonly ServerSource[];
  readonly #scraped: (Usage | undefined)[];
  #lastScrapeMs = Number.NEGATIVE_INFINITY;

  constructor(sources: readonly ServerSource[]) {
    this.sources = sources;
    this.#scraped = sources.map(() => undefined);
  }

  /** `fresh`: also the scraped ones are asked now. */
  async sample(fresh: boolean): Promise<ServerSample> {
    const atMs = performance.now();
    if (fresh || atMs - this.#lastScrapeMs >= SCRAPE_EVERY_MS) {
      this.#lastScrapeMs = atMs;
      await Promise.all(
        this.sources.map(async (source, i) => {
          if ('metricsUrl' in source) this.#scraped[i] = await scrapedUsage(source.metricsUrl);
        }),
      );
    }
    const usages = this.sources.map((source, i) => ('pid' in source ? processUsage(source.pid) : this.#scraped[i]));
    return { atMs: performance.now(), usages };
  }
}

/** CPU seconds that the servers used between two samples: of those that told both times and were not restarted between. */
export const cpuBetween = (from: ServerSample, to: ServerSample): number =>
  to.usages.reduce((sum, usage, i) => {
    const before = from.usages[i];
    return usage === undefined || before === undefined ? sum : sum + Math.max(0, usage.cpuSeconds - before.cpuSeconds);
  }, 0);

/** Bytes by which their memory grew between two samples. */
export const rssBetween = (from: ServerSample, to: ServerSample): number =>
  to.usages.reduce((sum, usage, i) => {
    const before = from.usages[i];
    return usage === undefined || before === undefined ? sum : sum + usage.rssBytes - before.rssBytes;
  }, 0);
