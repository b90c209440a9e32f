import { LATENCY_BOUNDS_SECONDS, type Latencies } from '@replyx/core';
import {
  Histogram,
  type MetricObjectWithValues,
  type MetricType,
  type MetricValueWithName,
  type Registry,
} from 'prom-client';

interface LatencyMetricOptions {
  readonly name: string;
  readonly help: string;
  readonly label: string;
  readonly latencies: Latencies;
  readonly registry: Registry;
}

/**
 * A histogram whose numbers are kept elsewhere, as plain counts: the library's own takes as long to observe as some of what it
 * would measure.
 */
class LatencyHistogram extends Histogram {
  readonly #options: LatencyMetricOptions;

  constructor(options: LatencyMetricOptions) {
    const { name, help, label, registry } = options;
    super({ name, help, labelNames: [label], buckets: [...LATENCY_BOUNDS_SECONDS], registers: [registry] });
    this.#options = options;
  }

  // What the registry prints from, where a metric has it.
  async getForPromString(): Promise<MetricObjectWithValues<MetricValueWithName<string>>> {
    return this.get();
  }

  override async get(): Promise<MetricObjectWithValues<MetricValueWithName<string>>> {
    const { name, help, label, latencies } = this.#options;
    const values: MetricValueWithName<string>[] = [];
    for (const [key, { buckets, sumSeconds }] of latencies.entries()) {
      const labels = { [label]: key };
      let count = 0;
      buckets.forEach((inBucket, index) => {
        count += inBucket;
        const le = LATENCY_BOUNDS_SECONDS[index] ?? '+Inf';
        values.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: count });
      });
      values.push({ metricName: `${name}_sum`, labels, value: sumSeconds });
      values.push({ metricName: `${name}_count`, labels, value: count });
    }
    return { name, help, type: 'histogram' as unknown as MetricType, values, aggregator: 'sum', collect: () => {} };
  }
}

export const registerLatencies = (options: LatencyMetricOptions): void => {
  new LatencyHistogram(options);
};
