import { AggregatorRegistry, Counter, Gauge, Histogram, type MetricObject, Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { WorkerTotals } from '../src/cluster/worker-totals.js';

/** As a worker reports them, over its channel. */
const reportOf = async (sent: number, open: number, seconds: number[]): Promise<MetricObject[]> => {
  const registers = [new Registry()];
  new Counter({ name: 'sent_total', help: 'sent', labelNames: ['to'], registers }).inc({ to: 'all' }, sent);
  new Gauge({ name: 'open', help: 'open', registers }).set(open);
  const took = new Histogram({ name: 'took', help: 'took', buckets: [1, 10], registers });
  for (const value of seconds) took.observe(value);
  return JSON.parse(JSON.stringify(await registers[0]?.getMetricsAsJSON())) as MetricObject[];
};

const textOf = (bodies: readonly (readonly MetricObject[])[]): Promise<string> =>
  AggregatorRegistry.aggregate(JSON.parse(JSON.stringify(bodies)) as object[]).metrics();

describe('the totals of workers', () => {
  it('keep what only grows of those that have ended, and nothing of what they held open', async () => {
    const totals = new WorkerTotals<string>();
    const b = await reportOf(7, 3, [0.5]);
    totals.note('a', await reportOf(5, 2, [0.5, 5]));
    totals.note('b', b);
    totals.end('a');
    totals.note('a, started again', await reportOf(1, 1, [50]));
    totals.end('a, started again');
    totals.end('never heard of');
    const text = await textOf([b, ...totals.besides((worker) => worker === 'b')]);
    expect(text).toContain('sent_total{to="all"} 13\n');
    expect(text).toContain('open 3\n');
    expect(text).toMatch(/took_bucket\{le="1"\} 2\n.*took_bucket\{le="10"\} 3\n.*took_bucket\{le="\+Inf"\} 4\n/s);
    expect(text).toContain('took_count 4\n');
  });

  it('stand for one that does not answer, once', async () => {
    const totals = new WorkerTotals<string>();
    totals.note('a', await reportOf(5, 2, []));
    expect(await textOf(totals.besides(() => false))).toContain('sent_total{to="all"} 5\n');
    expect(totals.besides(() => true)).toEqual([]);
  });
});
