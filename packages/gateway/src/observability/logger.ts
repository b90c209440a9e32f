import { type Logger, pino } from 'pino';

export type { Logger };

/** Paths that must never be printed, should a caller hand over an object that holds them. */
const SECRET_PATHS = ['token', 'text', 'authorization', 'secret', '*.token', '*.text', '*.authorization', '*.secret'];

/** One JSON line an event on standard output; `event` is a stable name, ids are fields. */
export const createLogger = (level: string, nodeId: string): Logger =>
  pino({
    level,
    base: { node_id: nodeId },
    messageKey: 'event',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: SECRET_PATHS, censor: '[redacted]' },
  });
