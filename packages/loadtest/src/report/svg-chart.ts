import { escapeHtml } from './printable.js';

export interface Series {
  readonly name: string;
  /** Null: a gap. */
  readonly values: readonly (number | null)[];
}

export interface LineChart {
  readonly title: string;
  /** Same length as each series; ascending. */
  readonly xs: readonly number[];
  readonly series: readonly Series[];
  readonly formatX: (x: number) => string;
  readonly formatY: (y: number) => string;
  /** Vertical lines with a name: the steps of a rolling run. */
  readonly marks?: readonly { readonly x: number; readonly name: string }[];
  /** Logarithmic from the smallest positive value. */
  readonly logY?: boolean;
}

const WIDTH = 720;
const HEIGHT = 240;
const LEFT = 70;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 30;
const COLOURS = 8;

const at = (value: number): string => value.toFixed(1);

/** Round numbers between the bounds, for the grid: 1, 2 or 5 times a power of ten apart. */
export const gridSteps = (max: number, count = 4): number[] => {
  if (!(max > 0)) return [0];
  const rough = max / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  return Array.from({ length: Math.floor(max / step + 1e-9) + 1 }, (_, i) => i * step);
};

const logSteps = (min: number, max: number): number[] => {
  const first = Math.floor(Math.log10(min));
  const last = Math.ceil(Math.log10(max));
  return Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i)).filter((y) => y >= min && y <= max);
};

const pathOf = (values: readonly (number | null)[], x: (i: number) => number, y: (value: number) => number): string => {
  let path = '';
  let drawing = false;
  for (const [i, value] of values.entries()) {
    if (value === null) {
      drawing = false;
      continue;
    }
    path += `${drawing ? 'L' : 'M'}${at(x(i))} ${at(y(value))}`;
    drawing = true;
  }
  return path;
};

/** Lines over a common axis as one SVG element; nothing in it is fetched or run. Empty when there is nothing to draw. */
export const lineChart = ({ title, xs, series, formatX, formatY, marks = [], logY = false }: LineChart): string => {
  const shown = series.filter(({ values }) => values.some((value) => value !== null && Number.isFinite(value)));
  const numbers = shown.flatMap(({ values }) =>
    values.filter((value): value is number => value !== null && Number.isFinite(value)),
  );
  const positive = numbers.filter((value) => value > 0);
  if (numbers.length === 0 || xs.length === 0 || (logY && positive.length === 0)) return '';
  const minX = xs[0] ?? 0;
  const spanX = Math.max(1e-9, (xs.at(-1) ?? 0) - minX);
  const maxY = numbers.reduce((max, value) => Math.max(max, value), 0) || 1;
  const minY = logY ? positive.reduce((min, value) => Math.min(min, value), Number.POSITIVE_INFINITY) / 1.2 : 0;
  const x = (value: number): number => LEFT + ((value - minX) / spanX) * (WIDTH - LEFT - RIGHT);
  const share = (value: number): number =>
    logY
      ? Math.log(Math.max(value, minY) / minY) / Math.max(1e-9, Math.log((maxY * 1.05) / minY))
      : value / (maxY * 1.05);
  const y = (value: number): number => HEIGHT - BOTTOM - share(value) * (HEIGHT - TOP - BOTTOM);
  const grid = (logY ? logSteps(minY, maxY) : gridSteps(maxY)).map(
    (value) =>
      `<line class="g" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at(y(value))}" y2="${at(y(value))}"/><text class="t" x="${LEFT - 6}" y="${at(y(value) + 4)}" text-anchor="end">${escapeHtml(formatY(value))}</text>`,
  );
  const feet = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const value = minX + spanX * part;
    const anchor = part === 0 ? 'start' : part === 1 ? 'end' : 'middle';
    return `<text class="t" x="${at(x(value))}" y="${HEIGHT - 8}" text-anchor="${anchor}">${escapeHtml(formatX(value))}</text>`;
  });
  const lines = shown.map(
    ({ name, values }, i) =>
      `<path class="l c${i % COLOURS}" d="${pathOf(values, (n) => x(xs[n] ?? 0), y)}"><title>${escapeHtml(name)}</title></path>`,
  );
  const marked = marks
    .filter(({ x: value }) => value >= minX && value <= minX + spanX)
    .map(
      ({ x: value, name }) =>
        `<line class="m" x1="${at(x(value))}" x2="${at(x(value))}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"><title>${escapeHtml(name)}</title></line>`,
    );
  const legend = shown.map(({ name }, i) => `<span class="k c${i % COLOURS}">${escapeHtml(name)}</span>`).join(' ');
  return `<figure><figcaption>${escapeHtml(title)} <small>${legend}</small></figcaption><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(title)}">${grid.join('')}${feet.join('')}${marked.join('')}${lines.join('')}</svg></figure>`;
};

const ROW = 24;

/** Horizontal bars, the longest first. Empty when there is nothing to draw. */
export const barChart = (
  title: string,
  record: Readonly<Record<string, number>>,
  formatY: (value: number) => string,
): string => {
  const rows = Object.entries(record).sort(([, a], [, b]) => b - a);
  if (rows.length === 0) return '';
  const max = Math.max(...rows.map(([, value]) => value)) || 1;
  const left = 220;
  const bars = rows.map(([name, value], i) => {
    const length = (value / max) * (WIDTH - left - 120);
    return `<text class="t" x="${left - 8}" y="${i * ROW + 17}" text-anchor="end">${escapeHtml(name)}</text><rect class="b" x="${left}" y="${i * ROW + 4}" width="${at(Math.max(1, length))}" height="${ROW - 8}"/><text class="t" x="${at(left + length + 8)}" y="${i * ROW + 17}">${escapeHtml(formatY(value))}</text>`;
  });
  return `<figure><figcaption>${escapeHtml(title)}</figcaption><svg viewBox="0 0 ${WIDTH} ${rows.length * ROW}" role="img" aria-label="${escapeHtml(title)}">${bars.join('')}</svg></figure>`;
};
