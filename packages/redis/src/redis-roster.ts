import type {
  InboxAddress,
  MarkRequest,
  PresentMember,
  RegisteredConnection,
  RegisterRequest,
  RegisterResult,
  Roster,
  RosterConnection,
  StoredMark,
} from '@replyx/core';
import { BOUNDS, type Position } from '@replyx/protocol';
import { Gathering } from './gathering.js';
import type { DialogKeys, Keys } from './keys.js';
import type { Link } from './link.js';
import { LIFETIMES, metaLifetimeMs, type Settings } from './options.js';
import { decodeDialog } from './redis-directory.js';
import { decodeHandoff } from './redis-handoffs.js';
import type { ScriptArgument } from './script-call.js';
import { SCRIPTS } from './scripts.js';
import type { Settling } from './settling.js';
import type { NodeState } from './state.js';
import type { Topology } from './topology.js';
import { memberJson, parseMember, userOf } from './user.js';

/** Marks of one dialog: one a user and track, so only a broken caller reaches it. */
const MOST_MARKS = 2_000;
/** Dialogs that are swept or renewed at a time. */
const AT_A_TIME = 32;
/** Connections of one dialog that one script renews. */
const RENEWED_A_CALL = 100;
const SWEPT_A_LOOK = 100;
/** Connections that one script registers, or takes off; each goes over everybody in its dialog. */
const REGISTERED_A_CALL = 16;

interface ConnectionRef {
  readonly dialogId: string;
  readonly connectionId: string;
}

/** As a conns value names an inbox; ids hold no space. */
const inboxLine = (inbox: InboxAddress | undefined): string =>
  inbox === undefined ? '' : `${inbox.assistantId} ${inbox.tenant}`;

const allOf = async <T>(items: readonly T[], task: (item: T) => Promise<number>): Promise<number> => {
  let total = 0;
  for (let start = 0; start < items.length; start += AT_A_TIME) {
    const counts = await Promise.all(items.slice(start, start + AT_A_TIME).map(task));
    total += counts.reduce((sum, count) => sum + count, 0);
  }
  return total;
};

export class RedisRoster implements Roster {
  readonly #settings: Settings;
  readonly #keys: Keys;
  readonly #topology: Topology;
  readonly #state: NodeState;
  readonly #publishCommand: string;
  readonly #settling: Settling;
  /** Newcomers come together, and so do those who go. */
  readonly #registrations: Gathering<RegisterRequest, RegisterResult>;
  readonly #unregistrations: Gathering<ConnectionRef, undefined>;

  constructor(
    settings: Settings,
    keys: Keys,
    topology: Topology,
    state: NodeState,
    publishCommand: string,
    settling: Settling,
  ) {
    this.#settings = settings;
    this.#keys = keys;
    this.#topology = topology;
    this.#state = state;
    this.#publishCommand = publishCommand;
    this.#settling = settling;
    this.#registrations = new Gathering(topology, REGISTERED_A_CALL, (requests) => this.#registerAll(requests));
    this.#unregistrations = new Gathering(topology, REGISTERED_A_CALL, (going) => this.#unregisterAll(going), 'first');
  }

  register(request: RegisterRequest): Promise<RegisterResult> {
    return this.#registrations.ask(this.#slotOf(request.dialogId), request);
  }

  async #registerAll(requests: readonly RegisterRequest[]): Promise<RegisterResult[]> {
    const { incarnation, nodeId, presenceTtlMs, inboxMax } = this.#settings;
    const scriptKeys: string[] = [];
    const args: ScriptArgument[] = [
      this.#publishCommand,
      incarnation,
      nodeId,
      this.#state.live,
      presenceTtlMs,
      LIFETIMES.heldMs,
      BOUNDS.presenceUsers,
      inboxMax,
    ];
    const { link } = this.#dialog((requests[0] as RegisterRequest).dialogId);
    for (const request of requests) {
      const {
        dialogId,
        connectionId,
        member,
        claim,
        clientId = '',
        limit = 0,
        atLimit = 'refuse',
        heads = [],
      } = request;
      const keys = this.#keys.dialog(dialogId);
      scriptKeys.push(
        keys.meta,
        keys.conns,
        this.#keys.held(keys.partition, incarnation),
        keys.writers,
        keys.marks,
        keys.channel('main'),
        keys.streams,
        ...this.#keys.appendsTo(keys.partition),
      );
      args.push(
        heads.length,
        dialogId,
        connectionId,
        userOf(member),
        memberJson(member),
        claim.tenant,
        claim.assistantId ?? '',
        claim.visitorId ?? '',
        claim.assistants === undefined ? '' : `\n${claim.assistants.join('\n')}\n`,
        claim.directory,
        clientId,
        limit,
        atLimit,
        inboxLine(request.inbox),
      );
      for (const track of heads) {
        scriptKeys.push(keys.log(track));
        args.push(...this.#settling.of(link, track, undefined));
      }
    }
    const replies = (await link.run(SCRIPTS.register, scriptKeys, args)) as Buffer[];
    return requests.map(({ heads = [] }, i) => decodeRegistered(String(replies[i]).split('\n'), heads.length));
  }

  async unregister(dialogId: string, connectionId: string): Promise<void> {
    await this.#unregistrations.ask(this.#slotOf(dialogId), { dialogId, connectionId });
  }

  async #unregisterAll(connections: readonly ConnectionRef[]): Promise<undefined[]> {
    const { incarnation, inboxMax } = this.#settings;
    const scriptKeys: string[] = [];
    const args: ScriptArgument[] = [this.#publishCommand, incarnation, this.#state.live, inboxMax];
    const { link } = this.#dialog((connections[0] as ConnectionRef).dialogId);
    for (const { dialogId, connectionId } of connections) {
      const keys = this.#keys.dialog(dialogId);
      scriptKeys.push(
        keys.conns,
        this.#keys.held(keys.partition, incarnation),
        keys.writers,
        keys.channel('main'),
        ...this.#keys.appendsTo(keys.partition),
      );
      args.push(dialogId, connectionId);
    }
    await link.run(SCRIPTS.unregister, scriptKeys, args);
    return [];
  }

  async evict(dialogId: string, connectionIds: readonly string[]): Promise<void> {
    const { keys, link } = this.#dialog(dialogId);
    await link.run(SCRIPTS.evict, [keys.conns, keys.channel('main')], [this.#publishCommand, ...connectionIds]);
  }

  async connections(dialogId: string): Promise<readonly RosterConnection[]> {
    const { keys, link } = this.#dialog(dialogId);
    const reply = ((await link.command('HGETALL', keys.conns)) as Buffer[]).map(String);
    const found: RosterConnection[] = [];
    for (let index = 0; index + 1 < reply.length; index += 2) {
      const [incarnation = '', , , nodeId = '', , clientId = '', , member = ''] = (reply[index + 1] ?? '').split('\n');
      if (!this.#state.live.includes(`\n${incarnation}\n`)) continue;
      found.push({
        dialogId,
        connectionId: reply[index] ?? '',
        member: parseMember(member),
        ...(clientId === '' ? {} : { clientId }),
        incarnation,
        nodeId,
      });
    }
    return found;
  }

  async mark(request: MarkRequest): Promise<number> {
    const { dialogId, track, member, offset } = request;
    const { keys, link } = this.#dialog(dialogId);
    const { role, id, name, publicId } = member;
    const head = (shownId: string): string =>
      `{"type":"read","sender":${JSON.stringify({ role, id: shownId, ...(name === undefined ? {} : { name }) })},"offset":`;
    return Number(
      await link.run(
        SCRIPTS.mark,
        [keys.meta, keys.marks, keys.writers, keys.channel(track)],
        [
          this.#publishCommand,
          track === 'main' ? 'm' : 'i',
          userOf(member),
          offset,
          memberJson(member),
          head(id),
          head(publicId),
          track === 'main' ? '}' : ',"track":"internal"}',
          metaLifetimeMs(this.#settings),
          MOST_MARKS,
        ],
      ),
    );
  }

  async sweep(incarnation: string): Promise<number> {
    const foundDeadMs = await this.#stillDead(incarnation);
    if (foundDeadMs === undefined) return 0;
    const partitions = Array.from({ length: this.#keys.partitions }, (_, partition) => partition);
    return allOf(partitions, (partition) => this.#sweepPartition(partition, incarnation, foundDeadMs));
  }

  async renew(connections: readonly RegisteredConnection[]): Promise<number> {
    const dialogs = new Map<string, RegisteredConnection[]>();
    for (const connection of connections) {
      const group = dialogs.get(connection.dialogId);
      if (group === undefined) dialogs.set(connection.dialogId, [connection]);
      else group.push(connection);
    }
    const calls: RegisteredConnection[][] = [];
    for (const group of dialogs.values()) {
      for (let start = 0; start < group.length; start += RENEWED_A_CALL) {
        calls.push(group.slice(start, start + RENEWED_A_CALL));
      }
    }
    return allOf(calls, (call) => this.#renewDialog(call));
  }

  #slotOf(dialogId: string): number {
    return this.#keys.slotOf(this.#keys.partitionOf(dialogId));
  }

  #dialog(dialogId: string): { keys: DialogKeys; link: Link } {
    const keys = this.#keys.dialog(dialogId);
    return { keys, link: this.#topology.link(this.#keys.slotOf(keys.partition)) };
  }

  async #renewDialog(connections: readonly RegisteredConnection[]): Promise<number> {
    const { incarnation, nodeId, presenceTtlMs, inboxMax } = this.#settings;
    const { dialogId } = connections[0] as RegisteredConnection;
    const { keys, link } = this.#dialog(dialogId);
    const restored = await link.run(
      SCRIPTS.renew,
      [
        keys.meta,
        keys.conns,
        this.#keys.held(keys.partition, incarnation),
        keys.writers,
        keys.channel('main'),
        ...this.#keys.appendsTo(keys.partition),
      ],
      [
        this.#publishCommand,
        dialogId,
        incarnation,
        nodeId,
        this.#state.live,
        presenceTtlMs,
        LIFETIMES.heldMs,
        inboxMax,
        ...connections.flatMap(({ connectionId, member, clientId = '', inbox }) => [
          connectionId,
          userOf(member),
          memberJson(member),
          clientId,
          inboxLine(inbox),
        ]),
      ],
    );
    return Number(restored);
  }

  /** Redis time of the look; `undefined` where the incarnation has come back to life. */
  async #stillDead(incarnation: string): Promise<number | undefined> {
    const link = this.#topology.link(this.#keys.nodesSlot);
    const [time, beat] = await Promise.all([
      link.command('TIME') as Promise<Buffer[]>,
      link.command('ZSCORE', this.#keys.beats, incarnation) as Promise<Buffer | number | null>,
    ]);
    const nowMs = Number(time[0]) * 1_000 + Math.floor(Number(time[1]) / 1_000);
    if (beat !== null && nowMs - Number(beat) < this.#settings.nodeTtlMs) return undefined;
    return nowMs;
  }

  async #sweepPartition(partition: number, incarnation: string, foundDeadMs: number): Promise<number> {
    const held = this.#keys.held(partition, incarnation);
    const live = this.#state.live.replace(`\n${incarnation}\n`, '\n');
    let removed = 0;
    // A cursor, not the set's emptiness: a node that came back keeps its entries.
    let cursor = '0';
    do {
      const link = this.#topology.link(this.#keys.slotOf(partition));
      const [next, dialogs] = (await link.command('SSCAN', held, cursor, 'COUNT', SWEPT_A_LOOK)) as [Buffer, Buffer[]];
      cursor = String(next);
      for (const dialogId of dialogs.map(String)) {
        const keys = this.#keys.dialog(dialogId);
        const count = await link.run(
          SCRIPTS.sweep,
          [keys.conns, held, keys.writers, keys.channel('main'), ...this.#keys.appendsTo(partition)],
          [this.#publishCommand, dialogId, incarnation, live, foundDeadMs, this.#settings.inboxMax],
        );
        removed += Number(count);
      }
    } while (cursor !== '0');
    return removed;
  }
}

const decodeRegistered = (reply: readonly string[], headCount: number): RegisterResult => {
  if (reply[0] === 'full') return { status: 'full' };
  if (reply[0] !== 'registered') return { status: 'not_found' };
  const dialog = decodeDialog(reply.slice(1, 5));
  if (dialog === undefined) return { status: 'not_found' };
  const [operators, visitors, wrote, older] = reply.slice(5, 9);
  const handoff = decodeHandoff(reply.slice(9, 15));
  const openStreams = Number(reply[15]);
  const heads: Position[] = [];
  let at = 16;
  for (; heads.length < headCount; at += 2) heads.push({ epoch: String(reply[at]), offset: Number(reply[at + 1]) });
  const members: PresentMember[] = [];
  for (let left = Number(reply[at++]); left > 0; left--, at += 2) {
    members.push({ ...parseMember(String(reply[at])), wrote: reply[at + 1] === '1' });
  }
  const marks: StoredMark[] = [];
  for (; at + 3 < reply.length; at += 4) {
    marks.push({
      ...parseMember(String(reply[at + 2])),
      track: reply[at] === 'm' ? 'main' : 'internal',
      offset: Number(reply[at + 1]),
      wrote: reply[at + 3] === '1',
    });
  }
  return {
    status: 'registered',
    dialog,
    members,
    count: { operators: Number(operators), visitors: Number(visitors) },
    marks,
    wrote: wrote === '1',
    superseded: older === '' ? [] : String(older).split(' '),
    handoff,
    openStreams,
    heads,
  };
};
