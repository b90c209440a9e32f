import type {
  Backplane,
  BackplaneOptions,
  Delivery,
  NodeInfo,
  PublishRequest,
  PublishResult,
  TrackRef,
} from '@replyx/core';
import { until } from '../wait.js';

/** One cluster that a contract suite runs against: nodes are opened in it, and its store can be harmed. */
export interface World {
  /** Opens the backplane of a new node. */
  open(overrides?: Partial<BackplaneOptions>): Promise<Backplane>;
  /** The incarnation that a backplane was opened with. */
  incarnationOf(backplane: Backplane): string;
  /** The node ends without a word. */
  kill(backplane: Backplane): Promise<void>;
  /** Empties the store. */
  flush(): Promise<void>;
  /** Copies the store; the function that it resolves puts the copy back, by a process that has lost what came after. */
  saveForRollback(): Promise<() => Promise<void>>;
  /** The same without any sign of it: only positions that were seen before can tell. */
  saveForSilentRollback(): Promise<() => Promise<void>>;
  /** Lets keys of a dialog expire now; `log` without a track means both. */
  expire(dialogId: string, what: 'all' | 'log' | 'meta', track?: 'main' | 'internal'): Promise<void>;
  /** Drops every entry of the control stream. */
  trimControl(): Promise<void>;
  /** Returns when so much time of the store has passed. */
  pass(ms: number): Promise<void>;
  /** Time of the store. */
  nowMs(): Promise<number>;
  close(): Promise<void>;
}

export type MakeWorld = () => Promise<World>;

/** Short enough to wait for, long enough for a slow machine. */
export const CONTRACT_OPTIONS = {
  historySize: 50,
  historyTtlMs: 60_000,
  idempotencyTtlMs: 60_000,
  nodeTtlMs: 60_000,
  leaseTtlMs: 60_000,
} as const satisfies Partial<BackplaneOptions>;

let serial = 0;

/** An id that no other test has used. */
export const freshId = (what = 'dialog'): string => `${what}-${++serial}-${Math.random().toString(36).slice(2, 8)}`;

/** What a node without anything to tell says of itself. */
export const nodeInfo = (incarnation: string, nodeId = 'node'): NodeInfo => ({
  incarnation,
  nodeId,
  version: '0',
  startedAtMs: 0,
  connections: 0,
  dialogs: 0,
  subscriptions: 0,
  loopLagMs: 0,
  draining: false,
});

/** A publication that passes every check, but for what `overrides` says. */
export const publication = (dialogId: string, overrides: Partial<PublishRequest> = {}): PublishRequest => {
  const id = overrides.id ?? freshId('m');
  return {
    dialogId,
    track: 'main',
    sender: { role: 'user', id: 'visitor' },
    id,
    bodyDigest: `digest of ${id}`,
    frameHead: '{"type":"message","offset":',
    frameTail: `,"id":${JSON.stringify(id)}}`,
    request: ++serial,
    windowLimit: 0,
    windowMs: 10_000,
    mustExist: false,
    ...overrides,
  };
};

/** Calls again while the backplane is away, as every caller of a port has to. */
export const patiently = <T>(task: () => Promise<T>): Promise<T> =>
  until(async () => ({ value: await task() }), { what: 'the backplane to answer', everyMs: 20 }).then(
    ({ value }) => value,
  );

export const appended = (result: PublishResult): { epoch: string; offset: number } => {
  if (result.status !== 'appended') throw new Error(`expected an append, got ${JSON.stringify(result)}`);
  return { epoch: result.epoch, offset: result.offset };
};

export const textOf = (bytes: Uint8Array): string => new TextDecoder('utf-8', { fatal: true }).decode(bytes);

/** Everything that one node is delivered. */
export class Recorder {
  readonly deliveries: Delivery[] = [];
  readonly restored: TrackRef[] = [];

  constructor(backplane: Backplane) {
    backplane.fanout.listen({
      onDelivery: (delivery) => this.deliveries.push(delivery),
      onRestored: (refs) => this.restored.push(...refs),
    });
  }

  of<K extends Delivery['kind']>(kind: K): Extract<Delivery, { kind: K }>[] {
    return this.deliveries.filter((delivery): delivery is Extract<Delivery, { kind: K }> => delivery.kind === kind);
  }

  /** Waits until `count` deliveries of a kind are there and returns them. */
  async atLeast<K extends Delivery['kind']>(kind: K, count: number): Promise<Extract<Delivery, { kind: K }>[]> {
    await until(() => this.of(kind).length >= count, { what: `${count} deliveries of kind ${kind}`, everyMs: 2 });
    return this.of(kind);
  }

  clear(): void {
    this.deliveries.length = 0;
    this.restored.length = 0;
  }
}

/**
 * Waits until everything that was sent to a track before has been delivered: sends a frame of its own behind it and removes it
 * from the record.
 */
export const settled = async (from: Backplane, ref: TrackRef, recorders: readonly Recorder[]): Promise<void> => {
  const name = freshId('settled');
  const isMine = (delivery: Delivery): boolean =>
    delivery.kind === 'ephemeral' && delivery.ref.track === ref.track && textOf(delivery.frame) === name;
  await from.fanout.emit(ref, 'all', name);
  for (const recorder of recorders) {
    await until(() => recorder.deliveries.some(isMine), { what: 'the frame sent behind', everyMs: 2 });
    recorder.deliveries.splice(0, recorder.deliveries.length, ...recorder.deliveries.filter((each) => !isMine(each)));
  }
};
