import { AggregatorRegistry, type MetricObject } from 'prom-client';

const ONLY_GROWS: ReadonlySet<unknown> = new Set(['counter', 'histogram', 'summary']);

/**
 * What workers that have ended, or do not answer, last told of what only grows. A sum that fell with one of them would read as a restart
 * of all: a scraper would count again everything that the others ever counted.
 */
export class WorkerTotals<W> {
  readonly #last = new Map<W, readonly MetricObject[]>();
  #ended: readonly MetricObject[] = [];

  note(worker: W, metrics: readonly MetricObject[]): void {
    this.#last.set(
      worker,
      metrics.filter(({ type }) => ONLY_GROWS.has(type)),
    );
  }

  /** The worker has ended: what it told last is kept for good, in one sum with those before it. */
  end(worker: W): void {
    const last = this.#last.get(worker);
    if (last === undefined) return;
    this.#last.delete(worker);
    const both = [[...this.#ended], [...last]];
    this.#ended = AggregatorRegistry.aggregate(both).getMetricsAsArray() as unknown as MetricObject[];
  }

  /** What goes into the sum for those that are not of the present answers. */
  besides(answered: (worker: W) => boolean): (readonly MetricObject[])[] {
    const silent = [...this.#last].filter(([worker]) => !answered(worker)).map(([, metrics]) => metrics);
    return [...silent, this.#ended].filter((metrics) => metrics.length > 0);
  }
}
