import type { Usage } from './process-stat.js';

/** The sum of each metric over its labels, from the Prometheus text format. Comments and what it can't read are skipped. */
export const sumsOf = (text: string): ReadonlyMap<string, number> => {
  const sums = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{.*\})?\s+(\S+)(?:\s+\d+)?$/.exec(line);
    const value = Number(match?.[2]);
    if (match?.[1] !== undefined && Number.isFinite(value)) sums.set(match[1], (sums.get(match[1]) ?? 0) + value);
  }
  return sums;
};

export const usageOf = (sums: ReadonlyMap<string, number>, atMs: number): Usage | undefined => {
  const cpuSeconds = sums.get('process_cpu_seconds_total');
  if (cpuSeconds === undefined) return undefined;
  const connections = sums.get('replyx_connections');
  return {
    atMs,
    cpuSeconds,
    rssBytes: sums.get('process_resident_memory_bytes') ?? 0,
    ...(connections === undefined ? {} : { connections }),
  };
};

const DEADLINE_MS = 2_000;

/** A node's `/metrics`; undefined where it does not answer in time. Never rejects. */
export const scrapedUsage = async (url: string): Promise<Usage | undefined> => {
  try {
    const answer = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(DEADLINE_MS) });
    return answer.ok ? usageOf(sumsOf(await answer.text()), performance.now()) : undefined;
  } catch {
    return undefined;
  }
};
