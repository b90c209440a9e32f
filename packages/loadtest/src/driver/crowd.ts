import { closeCodeOf, type ReconnectMode } from '@replyx/protocol';
import type { LoadPlan } from '../load-plan.js';
import type { RunClock } from '../run-clock.js';
import { TimerWheel } from '../timer-wheel.js';
import { mintToken } from '../token-mint.js';
import type { Client } from './client.js';
import { countIn, type DriverStats } from './driver-stats.js';
import { Link, type LinkOwner } from './link.js';

export interface CrowdHooks {
  /** A frame of a client that is not the one with which it joined. */
  frame(client: Client, bytes: Buffer): void;
  joined(client: Client): void;
  /** It will not come back by itself. */
  gone(client: Client): void;
}

/** What waits in the wheel: a connection that must have joined, a client that reconnects, or a message that is sent again. */
export type Wait =
  | { readonly what: 'join'; readonly link: Link }
  | { readonly what: 'reconnect'; readonly client: Client }
  | { readonly what: 'resend'; readonly client: Client; readonly seq: number };

const JOIN_DEADLINE_MS = 15_000;
const BACKOFF_MS = { backoff: [1_000, 10_000], long_backoff: [5_000, 30_000] } as const;
const JITTER_MS = 1_000;

const modeOf = (code: number): ReconnectMode => closeCodeOf(code)?.reconnect ?? 'backoff';

/** Opens, keeps and reopens the connections of a driver, as well-behaved clients do. */
export class Crowd implements LinkOwner {
  /** Clients that have joined. */
  size = 0;
  /** Nobody reconnects any more. */
  closing = false;
  readonly wheel: TimerWheel<Wait>;
  readonly #plan: LoadPlan;
  readonly #clock: RunClock;
  readonly #stats: DriverStats;
  readonly #hooks: CrowdHooks;
  readonly #onResend: (client: Client, seq: number) => void;
  #opened: number;

  constructor(
    plan: LoadPlan,
    driver: number,
    {
      clock,
      stats,
      hooks,
      onResend,
    }: { clock: RunClock; stats: DriverStats; hooks: CrowdHooks; onResend: (client: Client, seq: number) => void },
  ) {
    this.#plan = plan;
    this.#clock = clock;
    this.#stats = stats;
    this.#hooks = hooks;
    this.#onResend = onResend;
    // The drivers begin at different addresses, so that they do not fill the first ones together.
    this.#opened = Math.floor((plan.sourceAddresses.length * driver) / plan.drivers);
    this.wheel = new TimerWheel(
      () => performance.now(),
      (wait) => this.#due(wait),
    );
    this.wheel.start();
  }

  /** `dueUs`: when the connection was wanted; how long it takes counts from there. */
  open(client: Client, dueUs: number): void {
    const { sourceAddresses, origin, insecure } = this.#plan;
    client.state = 'connecting';
    client.dueUs = dueUs;
    client.askedDelayMs = -1;
    const localAddress = sourceAddresses[this.#opened % Math.max(1, sourceAddresses.length)];
    this.#opened += 1;
    this.#stats.counts.opened += 1;
    const isVisitor = client.planned.role === 'visitor';
    client.link = new Link(this, client, this.#urlOf(client), this.#tokenOf(client), {
      origin: isVisitor ? origin : undefined,
      localAddress,
      insecure,
    });
    this.wheel.schedule(JOIN_DEADLINE_MS, { what: 'join', link: client.link });
  }

  /** Ends the connection without a close frame, as a network does; the client does not come back by itself. */
  cut(client: Client): void {
    this.#leave(client, (link) => link.terminate());
  }

  /** Ends the connection in an orderly way; the client does not come back by itself. */
  close(client: Client): void {
    this.#leave(client, (link) => link.close(1000));
  }

  received(link: Link, bytes: Buffer): void {
    const { client } = link;
    // What a connection that was given up still delivers belongs to nobody.
    if (client.link !== link) return;
    if (link.joined) this.#hooks.frame(client, bytes);
    else this.#first(client, link, bytes);
  }

  ended(link: Link, code: number): void {
    const { client } = link;
    if (link.joined) this.size -= 1;
    const { counts } = this.#stats;
    if (link.failedWith !== undefined) countIn(counts.errors, link.failedWith);
    if (!link.leaving) {
      if (link.refusedWith !== undefined) countIn(counts.turnedAway, `http ${link.refusedWith}`);
      else if (link.joined) countIn(counts.closed, String(code));
      else countIn(counts.turnedAway, code === 1006 ? (link.failedWith ?? 'cut') : `close ${code}`);
    }
    if (client.link !== link) return;
    client.link = undefined;
    if (link.leaving || this.closing) {
      client.state = 'idle';
      return;
    }
    if (link.joined) client.failures = 0;
    this.#reconnect(client, code);
  }

  /** A client that was cut comes back after the wait. */
  reopen(client: Client, afterMs: number): void {
    client.state = 'waiting';
    client.recoverFromUs = this.#clock.nowUs() + afterMs * 1000;
    this.wheel.schedule(afterMs, { what: 'reconnect', client });
  }

  #leave(client: Client, end: (link: Link) => void): void {
    client.excused = true;
    const { link } = client;
    if (link === undefined) {
      client.state = 'idle';
      return;
    }
    link.leaving = true;
    client.link = undefined;
    client.state = 'idle';
    if (link.joined) this.size -= 1;
    link.joined = false;
    end(link);
  }

  #first(client: Client, link: Link, bytes: Buffer): void {
    const frame = parsed(bytes);
    if (frame?.['type'] === 'disconnect') noteAskedDelay(client, frame);
    if (frame?.['type'] !== 'connected') return;
    const nowUs = this.#clock.nowUs();
    const [epoch, offset, head] = [
      String(frame['epoch']),
      Number(frame['offset']),
      Number(frame['head'] ?? frame['offset']),
    ];
    link.joined = true;
    this.size += 1;
    client.failures = 0;
    client.state = 'joined';
    const { counts } = this.#stats;
    counts.joined += 1;
    this.#stats.took('connect', client.dueUs, nowUs);
    client.dialog.check.startEpoch(epoch, offset);
    if (client.epoch === '') {
      client.excused = false;
      client.track.restart(offset);
    } else if (frame['recovered'] === true && epoch === client.epoch) {
      counts.recovered += 1;
      client.recoverTo = head;
      if (client.track.last >= head) this.whole(client, nowUs);
    } else {
      // Of another epoch's offsets a server can't know which of them this client has: that it says so is a fault of its own.
      if (frame['recovered'] === true) countIn(counts.errors, 'recovered_elsewhere');
      counts.discontinued += 1;
      client.excused = false;
      client.track.restart(offset);
    }
    client.epoch = epoch;
    this.#hooks.joined(client);
  }

  /** The client has all that it missed. */
  whole(client: Client, nowUs: number): void {
    client.recoverTo = 0;
    client.excused = false;
    this.#stats.took('recovery', client.recoverFromUs, nowUs);
  }

  #reconnect(client: Client, code: number): void {
    const mode = modeOf(code);
    if (mode === 'never' || client.once) {
      client.state = 'gone';
      this.#hooks.gone(client);
      return;
    }
    client.state = 'waiting';
    client.urlTurn += 1;
    const delayMs = this.#delayMs(client, mode);
    client.failures += 1;
    client.recoverFromUs = this.#clock.nowUs() + delayMs * 1000;
    this.wheel.schedule(delayMs, { what: 'reconnect', client });
  }

  #delayMs(client: Client, mode: ReconnectMode): number {
    if (client.askedDelayMs >= 0 && mode === 'delay') return client.askedDelayMs;
    if (mode === 'jitter' || mode === 'now' || mode === 'refresh' || mode === 'delay') return Math.random() * JITTER_MS;
    const [least, most] = BACKOFF_MS[mode === 'long_backoff' ? 'long_backoff' : 'backoff'];
    return Math.random() * Math.min(most, least * 2 ** client.failures);
  }

  #due(wait: Wait): void {
    if (wait.what === 'resend') this.#onResend(wait.client, wait.seq);
    else if (wait.what === 'reconnect') {
      if (wait.client.state === 'waiting' && !this.closing) this.open(wait.client, this.#clock.nowUs());
    } else if (!wait.link.joined && wait.link.readyState !== Link.CLOSED) {
      wait.link.failedWith ??= 'timeout';
      wait.link.terminate();
    }
  }

  #urlOf(client: Client): string {
    const { urls } = this.#plan;
    const { dialog, planned, epoch, track, urlTurn } = client;
    const base = urls[(dialog.index + planned.slot + urlTurn) % urls.length] ?? '';
    const path = planned.role === 'visitor' ? '/ws/site/dialogs/' : '/ws/dialogs/';
    const resume = epoch === '' ? '' : `&epoch=${epoch}&offset=${track.last}`;
    return `${base}${path}${dialog.id}?client_id=c${planned.slot}${resume}`;
  }

  #tokenOf({ planned, dialog }: Client): string {
    if (planned.token !== undefined) return planned.token;
    const { key, tenant, assistantId, origin, tokenLifeSeconds } = this.#plan;
    if (key === undefined) return '';
    // Made anew for each connection: kept, it would be the largest part of a client's memory.
    return mintToken(
      {
        role: planned.role,
        // A visitor owns one dialog, and has one name in it; operators are several.
        sub: planned.role === 'visitor' ? `visitor-${dialog.id}` : `operator-${dialog.index}-${planned.slot}`,
        tenant,
        assistantId,
        dialogId: dialog.id,
        domains: [new URL(origin).hostname],
        lifeSeconds: tokenLifeSeconds,
      },
      key,
    );
  }
}

export const parsed = (bytes: Buffer): Record<string, unknown> | undefined => {
  try {
    const frame: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof frame === 'object' && frame !== null ? (frame as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
};

export const noteAskedDelay = (client: Client, frame: Readonly<Record<string, unknown>>): void => {
  const delay = (frame['reconnect'] as { delay_ms?: unknown } | undefined)?.delay_ms;
  if (typeof delay === 'number' && delay >= 0 && delay <= 600_000) client.askedDelayMs = delay;
};
