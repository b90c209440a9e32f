import { seeded, written } from '../control-entries.js';
import type {
  Control,
  ControlCursor,
  ControlEntry,
  ControlSnapshot,
  SnapshotEntry,
  TailResult,
} from '../control-port.js';
import type { MemoryCluster } from './cluster.js';
import type { MemoryNode } from './node.js';
import type { ControlData } from './store.js';

/** Entries that the stream keeps. */
const LOG_SIZE = 50_000;
/** Expired entries are looked for when so many more are there. */
const SWEEP_EVERY = 256;

export class MemoryControl implements Control {
  readonly #cluster: MemoryCluster;
  readonly #node: MemoryNode;

  constructor(cluster: MemoryCluster, node: MemoryNode) {
    this.#cluster = cluster;
    this.#node = node;
  }

  async write<E extends ControlEntry>(entry: E): Promise<E> {
    this.#cluster.enter(this.#node);
    const { assistants, control: data } = this.#cluster.data;
    this.#epoch(data);
    let stored: ControlEntry = structuredClone(entry);
    if (stored.kind === 'assistant') {
      if (stored.record === undefined) assistants.delete(stored.assistantId);
      else assistants.set(stored.assistantId, stored.record);
    } else if (stored.kind !== 'disconnect' && stored.kind !== 'drain') {
      stored = written(this.#held(data, stored.id), stored);
      this.#keep(data, stored);
    }
    this.#append(data, stored);
    return stored as E;
  }

  async nowMs(): Promise<number> {
    this.#cluster.enter(this.#node);
    return this.#cluster.nowMs;
  }

  async snapshot(): Promise<ControlSnapshot> {
    this.#cluster.enter(this.#node);
    const data = this.#cluster.data.control;
    this.#sweep(data);
    const { name, bornMs } = this.#epoch(data);
    const { nowMs } = this.#cluster;
    return {
      cursor: { epoch: name, after: this.#place(data) },
      entries: [...data.entries.values()],
      assistants: new Map(this.#cluster.data.assistants),
      nowMs,
      epochAgeMs: nowMs - bornMs,
    };
  }

  async tail(cursor: ControlCursor): Promise<TailResult> {
    this.#cluster.enter(this.#node);
    const data = this.#cluster.data.control;
    const [number = '', name] = cursor.after.split('/');
    const after = Number(number);
    if (this.#epoch(data).name !== cursor.epoch) return { status: 'lost' };
    const found = after === this.#count(data) ? data.last : data.log[after - data.trimmed - 1]?.name;
    if (after > this.#count(data) || (found !== undefined && found !== name)) {
      // Its tail is gone: everybody has to hear of that, also who had not read as far.
      this.#mint(data);
      return { status: 'lost' };
    }
    if (after < data.trimmed) return { status: 'lost' };
    return {
      status: 'entries',
      entries: data.log.slice(after - data.trimmed).map(({ entry }) => entry),
      cursor: { epoch: cursor.epoch, after: this.#place(data) },
    };
  }

  async seed(entries: readonly SnapshotEntry[]): Promise<void> {
    this.#cluster.enter(this.#node);
    const data = this.#cluster.data.control;
    this.#epoch(data);
    for (const entry of entries) {
      const stored = entry.expiresMs > this.#cluster.nowMs ? seeded(this.#held(data, entry.id), entry) : undefined;
      if (stored === undefined) continue;
      this.#keep(data, stored);
      this.#append(data, stored);
    }
  }

  #held(data: ControlData, id: string): SnapshotEntry | undefined {
    const held = data.entries.get(id);
    return held !== undefined && held.expiresMs > this.#cluster.nowMs ? held : undefined;
  }

  #keep(data: ControlData, entry: SnapshotEntry): void {
    data.entries.set(entry.id, entry);
    if (data.entries.size % SWEEP_EVERY === 0) this.#sweep(data);
  }

  #sweep(data: ControlData): void {
    for (const { id, expiresMs } of [...data.entries.values()]) {
      if (expiresMs <= this.#cluster.nowMs) data.entries.delete(id);
    }
  }

  #epoch(data: ControlData): NonNullable<ControlData['epoch']> {
    return data.epoch === undefined || data.epoch.run < this.#cluster.run ? this.#mint(data) : data.epoch;
  }

  #mint(data: ControlData): NonNullable<ControlData['epoch']> {
    data.epoch = { name: this.#cluster.newName(), run: this.#cluster.run, bornMs: this.#cluster.nowMs };
    return data.epoch;
  }

  #count({ trimmed, log }: ControlData): number {
    return trimmed + log.length;
  }

  /** How many entries there were, and the name of the last. */
  #place(data: ControlData): string {
    return `${this.#count(data)}/${data.last}`;
  }

  #append(data: ControlData, entry: ControlEntry): void {
    data.last = this.#cluster.newName();
    data.log.push({ name: data.last, entry });
    if (data.log.length <= LOG_SIZE) return;
    data.log.shift();
    data.trimmed += 1;
  }
}
