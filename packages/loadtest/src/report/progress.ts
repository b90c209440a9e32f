import { formatMs, formatNumber } from '../quantity.js';
import type { LiveView } from '../run/run-meter.js';

const PLAIN_EVERY_MS = 5_000;

const clockText = (ms: number): string => {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
};

export const progressLine = (phase: string, view: LiveView): string => {
  const rates = [
    view.sent > 0 ? `${formatNumber(view.sent)} msg/s` : '',
    view.delivered > 0 ? `${formatNumber(view.delivered)} deliveries/s` : '',
    view.joined >= 1 ? `${formatNumber(view.joined)} connects/s` : '',
    view.attempts > 0 ? `${formatNumber(view.attempts)} attempts/s` : '',
  ].filter((text) => text !== '');
  return [
    `${clockText(view.elapsedMs)} ${phase}`,
    `${formatNumber(view.connections)} connections`,
    ...rates,
    ...(view.p50 === null ? [] : [`p50 ${formatMs(view.p50)}, p99 ${formatMs(view.p99 ?? 0)}`]),
    ...(view.errors > 0 ? [`${formatNumber(view.errors)} errors`] : []),
    ...(view.closes > 0 ? [`${formatNumber(view.closes)} closed`] : []),
    `driver ${Math.round(view.driverCpu * 100)} %`,
  ].join('  ');
};

/** Progress on standard error: one line that is written over in a terminal, a line every 5 s elsewhere. */
export class Progress {
  readonly #write: (text: string) => void;
  readonly #isTerminal: boolean;
  #phase = 'starting';
  #lastMs = Number.NEGATIVE_INFINITY;
  #dirty = false;

  constructor(write: (text: string) => void, isTerminal: boolean) {
    this.#write = write;
    this.#isTerminal = isTerminal;
  }

  phase(what: string): void {
    this.#phase = what;
    // So that the first line of a phase is not one of the last.
    this.#lastMs = Number.NEGATIVE_INFINITY;
  }

  show(view: LiveView): void {
    if (this.#isTerminal) {
      this.#write(`\r\u001b[K${progressLine(this.#phase, view)}`);
      this.#dirty = true;
    } else if (view.elapsedMs - this.#lastMs >= PLAIN_EVERY_MS - 500) {
      this.#lastMs = view.elapsedMs;
      this.#write(`${progressLine(this.#phase, view)}\n`);
    }
  }

  /** A line that stays. */
  note(text: string): void {
    this.end();
    this.#write(`${text}\n`);
  }

  end(): void {
    if (this.#dirty) this.#write('\r\u001b[K');
    this.#dirty = false;
  }
}
