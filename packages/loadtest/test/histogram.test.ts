import { describe, expect, it } from 'vitest';
import { Histogram } from '../src/histogram.js';

/** A small generator with a seed, so that a failure can be repeated. */
const randoms = (seed: number) => () => {
  seed = (seed * 1103515245 + 12345) % 2147483648;
  return seed / 2147483648;
};

const exactPercentile = (sorted: readonly number[], percent: number): number =>
  sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length - 1e-9) - 1)] ?? 0;

const DISTRIBUTIONS: Readonly<Record<string, (random: () => number) => number>> = {
  'values that are all small': (random) => Math.floor(random() * 1_500),
  'values over six decades': (random) => Math.floor(10 ** (random() * 6)),
  'a long tail': (random) => Math.floor(1_000 / (1.0001 - random())),
  'two humps': (random) => (random() < 0.9 ? 900 + Math.floor(random() * 200) : 4_000_000 + Math.floor(random() * 1e6)),
};

describe('Histogram', () => {
  it.each(Object.entries(DISTRIBUTIONS))('finds each percentile of %s to three digits', (_name, next) => {
    const random = randoms(7);
    const histogram = new Histogram();
    const values = Array.from({ length: 20_000 }, () => next(random));
    for (const value of values) histogram.record(value);
    values.sort((a, b) => a - b);
    for (const percent of [0, 1, 10, 25, 50, 75, 90, 95, 99, 99.9, 99.99, 100]) {
      const exact = exactPercentile(values, percent);
      const found = histogram.percentile(percent);
      expect(found).toBeGreaterThanOrEqual(exact);
      expect(found - exact).toBeLessThanOrEqual(exact / 1_000);
    }
    expect(histogram.min).toBe(values[0]);
    expect(histogram.max).toBe(values.at(-1));
    expect(histogram.mean).toBeCloseTo(values.reduce((sum, value) => sum + value, 0) / values.length, 6);
  });

  it('is exact below 2048', () => {
    const histogram = new Histogram();
    for (let value = 0; value < 2_048; value += 1) histogram.record(value);
    for (let value = 0; value < 2_048; value += 97) {
      expect(histogram.percentile(((value + 1) / 2_048) * 100)).toBe(value);
    }
  });

  it('keeps every power of two and its neighbours within a thousandth', () => {
    for (let power = 11; power < 31; power += 1) {
      for (const value of [2 ** power - 1, 2 ** power, 2 ** power + 1]) {
        const histogram = new Histogram();
        histogram.record(value);
        histogram.record(2 ** 31 - 1);
        const found = histogram.percentile(50);
        expect(found).toBeGreaterThanOrEqual(value);
        expect(found - value).toBeLessThanOrEqual(value / 1_000);
      }
    }
  });

  it('counts what is negative as 0, and keeps the maximum beyond its range exact', () => {
    const histogram = new Histogram();
    histogram.record(-5);
    histogram.record(3e9);
    expect(histogram.percentile(50)).toBe(0);
    expect(histogram.max).toBe(3e9);
    expect(histogram.percentile(100)).toBe(2 ** 31 - 1);
  });

  it('is the same after it was encoded, sent and added to others', () => {
    const random = randoms(3);
    const all = new Histogram();
    const joined = new Histogram();
    for (let driver = 0; driver < 3; driver += 1) {
      const own = new Histogram();
      for (let i = 0; i < 5_000; i += 1) {
        const value = Math.floor(10 ** (random() * 7));
        all.record(value);
        own.record(value);
      }
      joined.add(JSON.parse(JSON.stringify(own.encode())));
    }
    expect(joined.encode()).toEqual(all.encode());
  });

  it('says 0 for everything while it is empty, also after it was cleared', () => {
    const histogram = new Histogram();
    histogram.record(12);
    histogram.clear();
    const { count, min, max, mean } = histogram;
    expect({ count, min, max, mean, p99: histogram.percentile(99) }).toEqual({
      count: 0,
      min: 0,
      max: 0,
      mean: 0,
      p99: 0,
    });
  });
});
