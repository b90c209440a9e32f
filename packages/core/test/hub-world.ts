import type { Position, Track } from '@replyx/protocol';
import { type FakeClock, fakeClock, seededRandom } from '@replyx/testkit';
import { Hub, type HubConfig } from '../src/hub.js';
import type { JoinRequest, ResumePoints } from '../src/joining.js';
import { type MemoryCluster, memoryCluster } from '../src/memory/index.js';
import type { Backplane, DialogClaim, FanoutListener } from '../src/ports.js';
import { type Identity, type RefreshVerdict, Session } from '../src/session.js';
import { FakeTransport, settle } from './fakes.js';

type Frame = Record<string, unknown> & { readonly type: string };

/** A client's copy of one track, as a correct client keeps it. */
export interface Copy {
  readonly epoch: string;
  readonly base: number;
  readonly texts: string[];
  /** Publications that were not exactly one past the copy's end. */
  readonly faults: string[];
}

const startAt = ({ epoch, offset }: Position, faults: string[] = []): Copy => ({
  epoch,
  base: offset,
  texts: [],
  faults,
});

export const endOf = (copy: Copy): Position => ({ epoch: copy.epoch, offset: copy.base + copy.texts.length });

/** A client with its socket and session. */
export class Peer {
  readonly transport = new FakeTransport();
  readonly session: Session;
  readonly node: HubNode;
  joined: Promise<void> = Promise.resolve();
  private read = 0;
  readonly copies: Partial<Record<Track, Copy>>;

  constructor(node: HubNode, identity: Identity, copies: Partial<Record<Track, Copy>> = {}) {
    this.node = node;
    this.copies = copies;
    this.session = new Session(identity, this.transport, node.hub);
    this.transport.onEnd = () => this.session.onClosed();
  }

  say(frame: object | string): void {
    const raw = typeof frame === 'string' ? frame : JSON.stringify(frame);
    this.session.onText(raw, new TextEncoder().encode(raw).byteLength);
  }

  /** The socket is gone, from the client's side. */
  drop(): void {
    this.transport.end(1006, '');
  }

  /** The client reads everything that waits for it. */
  drain(): void {
    this.transport.buffered = 0;
    this.session.onDrained();
  }

  get frames(): Frame[] {
    return this.transport.frames as Frame[];
  }

  of(type: string): Frame[] {
    return this.frames.filter((frame) => frame.type === type);
  }

  /** Frames since the last call. */
  news(): Frame[] {
    const frames = this.frames.slice(this.read);
    this.read = this.transport.sent.length;
    return frames;
  }

  answers(id: string): Frame[] {
    return this.frames.filter((frame) => frame['id'] === id && ['ack', 'error', 'history'].includes(frame.type));
  }

  get closedWith(): number | undefined {
    return this.transport.ended?.code;
  }

  /** Takes over into the copies what came since the last call. */
  follow(): void {
    for (const frame of this.news()) {
      if (frame.type === 'connected') {
        this.begin('main', frame as never);
        if (frame['internal'] !== undefined) this.begin('internal', frame['internal'] as never);
      } else if (frame.type === 'reset')
        this.copies[frame['track'] as Track] = startAt(frame as never, this.faults(frame['track'] as Track));
      else if (frame.type === 'message') this.append('main', frame);
      else if (frame.type === 'note') this.append('internal', frame);
    }
  }

  private faults(track: Track): string[] {
    return this.copies[track]?.faults ?? [];
  }

  private begin(track: Track, position: Position & { recovered: boolean }): void {
    const copy = this.copies[track];
    if (position.recovered && copy !== undefined) {
      const end = endOf(copy);
      if (end.epoch !== position.epoch || end.offset !== position.offset)
        copy.faults.push(`recovered at ${position.epoch}:${position.offset}, not ${end.epoch}:${end.offset}`);
    } else this.copies[track] = startAt(position, this.faults(track));
  }

  private append(track: Track, frame: Frame): void {
    const copy = this.copies[track];
    if (copy === undefined) throw new Error('a publication before connected');
    if (frame['offset'] !== endOf(copy).offset + 1)
      copy.faults.push(`${String(frame['offset'])} after ${endOf(copy).offset}`);
    copy.texts.push(String(frame['text']));
  }
}

export interface HubNode {
  readonly hub: Hub;
  readonly backplane: Backplane;
  readonly incarnation: string;
  readonly bugs: unknown[];
  readonly left: Session[];
  /** Connections of other nodes that are to be closed. */
  readonly replaced: string[];
  /** Deliveries for which it is true are lost without a word. */
  loses: () => boolean;
  judge: (session: Session, token: string) => Promise<RefreshVerdict>;
  isRevoked: (identity: Identity) => boolean;
}

export interface JoinOptions {
  readonly kind?: 'operator' | 'site' | 'widget';
  readonly id?: string;
  readonly name?: string;
  readonly dialogId?: string;
  readonly resume?: Partial<ResumePoints>;
  readonly expiresInMs?: number;
  readonly claim?: Partial<DialogClaim>;
  readonly request?: Pick<JoinRequest, 'clientId' | 'places' | 'messageLimit'>;
  readonly copies?: Partial<Record<Track, Copy>>;
  /** Runs before the session joins. */
  readonly prepare?: (peer: Peer) => void;
}

const CONFIG: HubConfig = {
  outboxMaxBytes: 1_048_576,
  framesPerWindow: 0,
  messageLimit: 0,
  messageWindowMs: 10_000,
  pingIntervalMs: 25_000,
  maxAgeMs: 86_400_000,
  idleMs: 0,
  lingerMs: 5_000,
  verifyIntervalMs: 300_000,
  maxConnections: 0,
};

export interface World {
  readonly clock: FakeClock;
  readonly cluster: MemoryCluster;
  node(overrides?: Partial<HubConfig>, wrap?: (backplane: Backplane) => Backplane): HubNode;
  /** Begins to join; `peer.joined` settles when that is over. */
  enter(node: HubNode, options?: JoinOptions): Peer;
  /** Joins, and waits until it is done. */
  join(node: HubNode, options?: JoinOptions): Promise<Peer>;
}

/** `lateMs`: by how much each timer of a hub is late, as those of a loop that is busy. */
export const makeWorld = ({ historySize = 1_000, seed = 1, lateMs = 0 } = {}): World => {
  const clock = fakeClock();
  const late = { ...clock, schedule: (ms: number, task: () => void) => clock.schedule(ms + lateMs, task) };
  const random = seededRandom(seed);
  const cluster = memoryCluster({ clock, random });
  let serial = 0;
  const backplanes = new Map<string, Backplane>();

  // A node counts the connections of nodes that it has heard of.
  const beatAll = (): void => {
    const told = { version: '1', startedAtMs: 0, connections: 0, dialogs: 0, subscriptions: 0, loopLagMs: 0 };
    for (let round = 0; round < 2; round += 1) {
      for (const [incarnation, { membership }] of backplanes)
        membership.beat({ ...told, incarnation, nodeId: incarnation, draining: false }).catch(() => {});
    }
  };

  const node: World['node'] = (overrides = {}, wrap = (backplane) => backplane) => {
    serial += 1;
    const incarnation = `n${serial}.boot`;
    const opened = cluster.open({
      incarnation,
      nodeId: `n${serial}`,
      historySize,
      historyTtlMs: 604_800_000,
      idempotencyTtlMs: 600_000,
      nodeTtlMs: 15_000,
      leaseTtlMs: 86_400_000,
    });
    const listen = (listener: FanoutListener) =>
      opened.fanout.listen({
        onDelivery: (delivery) => {
          if (!made.loses()) listener.onDelivery(delivery);
        },
        onRestored: (refs) => listener.onRestored(refs),
      });
    const { fanout } = opened;
    const backplane = wrap({
      ...opened,
      fanout: {
        listen,
        subscribe: (refs) => fanout.subscribe(refs),
        unsubscribe: (refs) => fanout.unsubscribe(refs),
        emit: (ref, audience, frame) => fanout.emit(ref, audience, frame),
      },
    });
    const bugs: unknown[] = [];
    const left: Session[] = [];
    const replaced: string[] = [];
    const made: Omit<HubNode, 'hub'> & { hub: Hub | undefined } = {
      hub: undefined,
      backplane,
      incarnation,
      bugs,
      left,
      replaced,
      loses: () => false,
      judge: () => Promise.resolve({ ok: false, code: 'unauthorized' }),
      isRevoked: () => false,
    };
    made.hub = new Hub({
      config: { ...CONFIG, ...overrides },
      backplane,
      incarnation,
      clock: late,
      random,
      judgeRefresh: (session, token) => made.judge(session, token),
      isRevoked: (identity) => made.isRevoked(identity),
      onBug: (error) => bugs.push(error),
      onReplaced: (connectionId) => replaced.push(connectionId),
      onBadFrames: () => {},
      onLeft: (session) => left.push(session),
    });
    made.hub.start();
    backplanes.set(incarnation, opened);
    beatAll();
    return made as HubNode;
  };

  const enter: World['enter'] = (at, options = {}) => {
    serial += 1;
    const { kind = 'site', id = `${kind}-${serial}`, name, dialogId = 'd', resume, expiresInMs = 3_600_000 } = options;
    const identity: Identity = {
      connectionId: `c${serial}`,
      dialogId,
      kind,
      tenant: 't',
      member: {
        role: kind === 'operator' ? 'manager' : 'user',
        id,
        publicId: kind === 'operator' ? `public-${id}` : id,
        ...(name === undefined ? {} : { name }),
      },
      issuedAt: 100,
      expiresAtMs: clock.nowMs() + expiresInMs,
      tokenIds: ['j1'],
    };
    const claim: DialogClaim = { tenant: 't', directory: 'open', ...options.claim };
    const peer = new Peer(at, identity, options.copies);
    options.prepare?.(peer);
    peer.joined = at.hub.join(peer.session, {
      claim,
      resume: { main: resume?.main, internal: resume?.internal },
      ...options.request,
    });
    return peer;
  };

  const join: World['join'] = async (at, options) => {
    const peer = enter(at, options);
    await peer.joined;
    await settle();
    return peer;
  };

  return { clock, cluster, node, enter, join };
};

/** Holds every call of a port until the test lets it go. */
export class Gates {
  readonly waiting: { readonly name: string; readonly open: (fate?: Error) => void }[] = [];
  isShut = false;

  readonly wrap = (backplane: Backplane): Backplane => {
    const gated = <A extends unknown[], R>(name: string, call: (...args: A) => Promise<R>) => {
      return async (...args: A): Promise<R> => {
        if (this.isShut) {
          const fate = await new Promise<Error | undefined>((resolve) => {
            this.waiting.push({ name, open: resolve });
          });
          if (fate !== undefined) throw fate;
        }
        const result = await call(...args);
        if (this.isShut) {
          await new Promise<Error | undefined>((resolve) => {
            this.waiting.push({ name: `${name} answered`, open: resolve });
          }).then((fate) => {
            if (fate !== undefined) throw fate;
          });
        }
        return result;
      };
    };
    const { log, fanout, roster, leases, streams } = backplane;
    return {
      ...backplane,
      log: {
        publish: gated('publish', log.publish.bind(log)),
        read: gated('read', log.read.bind(log)),
        erase: log.erase.bind(log),
      },
      fanout: { ...fanout, subscribe: gated('subscribe', fanout.subscribe.bind(fanout)) },
      roster: {
        register: gated('register', roster.register.bind(roster)),
        unregister: gated('unregister', roster.unregister.bind(roster)),
        renew: gated('renew', roster.renew.bind(roster)),
        evict: roster.evict.bind(roster),
        connections: roster.connections.bind(roster),
        mark: gated('mark', roster.mark.bind(roster)),
        sweep: roster.sweep.bind(roster),
      },
      leases: {
        acquire: gated('acquire', leases.acquire.bind(leases)),
        release: gated('release', leases.release.bind(leases)),
        restore: gated('restore', leases.restore.bind(leases)),
      },
      streams: {
        start: streams.start.bind(streams),
        append: streams.append.bind(streams),
        finish: streams.finish.bind(streams),
        settle: streams.settle.bind(streams),
        abort: streams.abort.bind(streams),
        open: gated('open', streams.open.bind(streams)),
      },
    };
  };

  /** Lets `count` calls go, each once everything that it makes possible has happened. */
  async step(count = 1, fate?: Error): Promise<void> {
    for (let i = 0; i < count; i += 1) {
      await settle();
      this.waiting.shift()?.open(fate);
      await settle();
    }
  }

  async openAll(): Promise<void> {
    this.isShut = false;
    await settle();
    while (this.waiting.length > 0) {
      this.waiting.shift()?.open();
      await settle();
    }
  }
}
