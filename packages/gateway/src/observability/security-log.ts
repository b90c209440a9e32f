import type { Clock } from '@replyx/core';

/** Stable names of what security teams look for. */
export type SecurityEvent =
  | 'credential_refused'
  | 'origin_refused'
  | 'revoked_credential_used'
  | 'id_probed'
  | 'suspicious_input'
  | 'address_limited'
  | 'address_banned'
  | 'ban_spared';

export type SecurityFields = Readonly<Record<string, string | number | boolean | undefined>>;

export type SecurityLog = (event: SecurityEvent, fields: SecurityFields) => void;

/** Lines of one event in a window; a flood is told by its count. */
const LINES = 20;
const WINDOW_MS = 10_000;
const SAMPLE_CHARS = 64;
/** Acts of the node rather than of a stranger: each is told, however many there are. */
const EACH: ReadonlySet<SecurityEvent> = new Set(['address_banned']);

/**
 * What a stranger sent, for a log line: bounded, control characters escaped, and anything that could be a credential left out.
 */
export const sampleOf = (text: string): string =>
  text
    .slice(0, SAMPLE_CHARS * 4)
    .replace(/[\w-]{24,}(\.[\w-]*)*/g, '[redacted]')
    .replace(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .slice(0, SAMPLE_CHARS);

interface WarningLogger {
  warn(fields: Record<string, unknown>, event: string): void;
}

/**
 * Writes security events, at most so many lines of each in a while; the next line after that says how many were left out. Every ban
 * is told.
 */
export const createSecurityLog = (logger: WarningLogger, clock: Pick<Clock, 'monotonicMs'>): SecurityLog => {
  const windows = new Map<SecurityEvent, { sinceMs: number; lines: number; suppressed: number }>();
  return (event, fields) => {
    const nowMs = clock.monotonicMs();
    let window = windows.get(event);
    if (window === undefined || nowMs - window.sinceMs >= WINDOW_MS) {
      window = { sinceMs: nowMs, lines: 0, suppressed: window?.suppressed ?? 0 };
      windows.set(event, window);
    }
    if (window.lines >= LINES && !EACH.has(event)) {
      window.suppressed += 1;
      return;
    }
    window.lines += 1;
    const { suppressed } = window;
    window.suppressed = 0;
    logger.warn({ security: true, ...fields, ...(suppressed === 0 ? {} : { suppressed }) }, event);
  };
};
