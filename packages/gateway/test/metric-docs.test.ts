import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { metricTable } from '../src/observability/metric-table.js';

it('docs/metrics.md holds the current table', () => {
  const page = readFileSync(new URL('../docs/metrics.md', import.meta.url), 'utf8');
  const [, table] = /<!-- metrics:begin -->\n([\s\S]*?)<!-- metrics:end -->/.exec(page) ?? [];
  expect(table).toBe(metricTable());
});
