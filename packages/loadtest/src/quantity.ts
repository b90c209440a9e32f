import { UsageError } from './command.js';

const MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const SCALE: Readonly<Record<string, number>> = { '': 1, k: 1e3, M: 1e6, G: 1e9 };
const BYTES: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** A duration such as `30s`, `5m`, `1h30m`, `250ms` in milliseconds. Throws `UsageError`. */
export const parseDuration = (option: string, text: string): number => {
  if (text === '0') return 0;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) {
    throw new UsageError(`${option} takes a duration such as 30s, 5m or 250ms, not ${JSON.stringify(text)}`);
  }
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * (MS[unit ?? ''] ?? 0), 0);
};

/** A number such as `1000`, `10k`, `1.5M`; a rate may end in `/s`. Throws `UsageError`. */
export const parseNumber = (option: string, text: string, [min, max]: readonly [number, number]): number => {
  const match = /^(\d+(?:\.\d+)?)([kMG]?)(?:\/s)?$/.exec(text);
  const value = match === null ? Number.NaN : Number(match[1]) * (SCALE[match[2] ?? ''] ?? 1);
  if (!(value >= min && value <= max)) {
    throw new UsageError(`${option} takes a number from ${min} to ${max}, not ${JSON.stringify(text)}`);
  }
  return value;
};

/** As `parseNumber`, whole. */
export const parseCount = (option: string, text: string, range: readonly [number, number]): number => {
  const value = parseNumber(option, text, range);
  if (!Number.isInteger(value)) throw new UsageError(`${option} takes a whole number, not ${JSON.stringify(text)}`);
  return value;
};

/** A size such as `200`, `4KiB`, `16GB` in bytes. Throws `UsageError`. */
export const parseBytes = (option: string, text: string): number => {
  const match = /^(\d+(?:\.\d+)?)\s?([KMG]i?B|B|)$/.exec(text);
  if (match === null)
    throw new UsageError(`${option} takes a size such as 200, 64KiB or 16GiB, not ${JSON.stringify(text)}`);
  return Math.round(Number(match[1]) * (BYTES[match[2] ?? ''] ?? 1));
};

export const formatMs = (ms: number | undefined): string => {
  if (ms === undefined || !Number.isFinite(ms)) return '-';
  if (ms >= 120_000) return `${+(ms / 60_000).toFixed(1)} min`;
  if (ms >= 1_000) return `${+(ms / 1000).toFixed(2)} s`;
  return ms >= 100 ? `${ms.toFixed(0)} ms` : `${ms.toFixed(ms >= 10 ? 1 : 2)} ms`;
};

export const formatBytes = (bytes: number): string => {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
};

/** In groups of three digits: 1,234,567; at most `digits` behind the point. */
export const formatNumber = (value: number, digits = 0): string =>
  value.toLocaleString('en-US', { maximumFractionDigits: digits });
