import type { Clock } from '@replyx/core';
import { AggregatorRegistry, type MetricObject, type Registry } from 'prom-client';
import { REPORT_DEADLINE_MS, type ReportKind, type WorkerMessage, type WorkerReports } from './worker-messages.js';

/** What the internal listener tells of: one node, or all workers of one port. */
export interface Reporting {
  /** Why it should get no new connections; empty where it should. */
  readiness(): Promise<readonly string[]>;
  metrics(): Promise<string>;
}

export interface ReportSources {
  readonly readiness: () => readonly string[];
  readonly registry: Registry;
}

export const reportAlone = ({ readiness, registry }: ReportSources): Reporting => ({
  readiness: () => Promise.resolve(readiness()),
  metrics: () => registry.metrics(),
});

/** The channel to the parent, as `process` has it. */
export interface ParentChannel {
  /** False once the parent is gone; `send` stays. */
  readonly connected: boolean;
  send?(message: WorkerMessage, done: (error: Error | null) => void): boolean;
  on(event: 'message', listener: (message: WorkerMessage) => void): unknown;
  on(event: 'disconnect', listener: () => void): unknown;
}

/** A worker's end of the channel to its parent: it reports when it is asked, and asks for all when somebody asks it. */
export class WorkerLink {
  readonly #parent: ParentChannel;
  readonly #clock: Pick<Clock, 'schedule'>;
  readonly #waiting = new Map<number, (bodies: readonly unknown[]) => void>();
  #sources: ReportSources | undefined;
  #asked = 0;
  #onStop: (how: 'leave' | 'hurry') => void = () => {};
  /** Asked for before anybody heard it. */
  #earlyStop: 'leave' | 'hurry' | undefined;

  constructor(parent: ParentChannel, clock: Pick<Clock, 'schedule'>) {
    this.#parent = parent;
    this.#clock = clock;
    parent.on('message', (message) => {
      if (message.kind === 'report') void this.#report(message);
      else if (message.kind === 'answer') this.#waiting.get(message.number)?.(message.bodies);
      else if (message.kind === 'leave' || message.kind === 'hurry') {
        this.#earlyStop = message.kind;
        this.#onStop(message.kind);
      }
    });
    parent.on('disconnect', () => {
      for (const answer of this.#waiting.values()) answer([]);
    });
  }

  /** Calls `stop` when the parent asks this worker to leave, and when it asks it to hurry; at once where it has already. */
  onStop(stop: (how: 'leave' | 'hurry') => void): void {
    this.#onStop = stop;
    if (this.#earlyStop !== undefined) stop(this.#earlyStop);
  }

  /** The worker accepts connections. */
  up(): void {
    this.#send({ kind: 'up' });
  }

  reportFor(sources: ReportSources): Reporting {
    this.#sources = sources;
    return {
      readiness: async () => [...new Set((await this.#ask('readiness')).flat())],
      metrics: async () => {
        const all = (await this.#ask('metrics')) as MetricObject[][];
        return AggregatorRegistry.aggregate(all).metrics();
      },
    };
  }

  /** What every worker that answers in time reports, this one included; it alone where the parent is gone or does not answer. */
  async #ask<K extends ReportKind>(what: K): Promise<readonly WorkerReports[K][]> {
    const bodies = this.#parent.connected ? await this.#askParent(what) : [];
    return (bodies.length > 0 ? bodies : [await this.#own(what)]) as readonly WorkerReports[K][];
  }

  /** Empty where the parent does not answer in time, or goes meanwhile. */
  async #askParent(what: ReportKind): Promise<readonly unknown[]> {
    const number = ++this.#asked;
    const bodies = await new Promise<readonly unknown[]>((resolve) => {
      const cancel = this.#clock.schedule(2 * REPORT_DEADLINE_MS, () => resolve([]));
      this.#waiting.set(number, (answer) => {
        cancel();
        resolve(answer);
      });
      this.#send({ kind: 'ask', number, what });
    });
    this.#waiting.delete(number);
    return bodies;
  }

  async #own(what: ReportKind): Promise<unknown> {
    if (this.#sources === undefined) return [];
    return what === 'readiness' ? this.#sources.readiness() : this.#sources.registry.getMetricsAsJSON();
  }

  async #report({ number, what }: { readonly number: number; readonly what: ReportKind }): Promise<void> {
    this.#send({ kind: 'reported', number, body: await this.#own(what) });
  }

  #send(message: WorkerMessage): void {
    // A parent that has just died is no error of this process: one that nobody listens to would end it.
    if (this.#parent.connected) this.#parent.send?.(message, () => {});
  }
}
