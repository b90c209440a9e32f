import { CLOSE_CODES, closeCodeOf, type ReconnectMode } from '@replyx/protocol';

/** How a link ended. */
export interface Ending {
  /** `undefined`: no close frame came, the connection was cut or never made. */
  readonly code: number | undefined;
  /** What the last frame asked for. */
  readonly reconnect: { readonly mode: string; readonly delayMs: number } | undefined;
  /** Of an upgrade that was refused. */
  readonly httpStatus: number | undefined;
  /** What the network said, in words. */
  readonly why: string | undefined;
  readonly wasConnected: boolean;
  readonly livedMs: number;
}

export type NextStep =
  | { readonly again: false }
  | { readonly again: true; readonly delayMs: number; readonly refresh: boolean };

const BACKOFF = { firstMs: 1_000, mostMs: 30_000 };
const LONG_BACKOFF = { firstMs: 30_000, mostMs: 300_000 };
const JITTER_MS = 2_000;

const MODES: ReadonlySet<string> = new Set(Object.values(CLOSE_CODES).map(({ reconnect }) => reconnect));

const isMode = (mode: string | undefined): mode is ReconnectMode => mode !== undefined && MODES.has(mode);

/** A proxy answers for a gateway that is away; any other refusal of the upgrade stays the same however often it is asked for. */
const modeOfStatus = (status: number): ReconnectMode =>
  status === 429 ? 'long_backoff' : status >= 500 ? 'backoff' : 'never';

const modeOf = ({ code, reconnect, httpStatus }: Ending): ReconnectMode => {
  if (isMode(reconnect?.mode)) return reconnect.mode;
  if (httpStatus !== undefined) return modeOfStatus(httpStatus);
  return (code === undefined ? undefined : closeCodeOf(code)?.reconnect) ?? 'backoff';
};

/**
 * What a client does after a link has ended. `failures`: links in a row that did not last, this one counted; each round of the
 * addresses doubles the wait. `random`: in [0, 1).
 */
export const nextStep = (ending: Ending, failures: number, addresses: number, random: number): NextStep => {
  const jittered = ({ firstMs, mostMs }: typeof BACKOFF): number =>
    random * Math.min(mostMs, firstMs * 2 ** Math.min(30, Math.floor(Math.max(0, failures - 1) / addresses)));
  const after = (delayMs: number, refresh = false): NextStep => ({
    again: true,
    delayMs: Math.round(delayMs),
    refresh,
  });
  switch (modeOf(ending)) {
    case 'never':
      return { again: false };
    case 'delay':
      return after(ending.reconnect?.delayMs ?? jittered(BACKOFF));
    case 'refresh':
      return after(0, true);
    case 'long_backoff':
      return after(jittered(LONG_BACKOFF));
    // A node that closes at once again and again must not be met at full speed.
    case 'now':
      return after(failures > 1 ? jittered(BACKOFF) : 0);
    case 'jitter':
      return after(failures > 1 ? jittered(BACKOFF) : random * JITTER_MS);
    case 'backoff':
      return after(jittered(BACKOFF));
  }
};

/** An ending in one line, by the table of the contract. */
export const endingWords = ({ code, httpStatus, why }: Ending): string => {
  const known = code === undefined ? undefined : closeCodeOf(code);
  if (known !== undefined) return `${known.code} ${known.name}: ${known.means}`;
  if (httpStatus !== undefined) return `the upgrade was answered with HTTP ${httpStatus}`;
  return code === undefined ? (why ?? 'the connection was cut') : `closed with ${code}`;
};
