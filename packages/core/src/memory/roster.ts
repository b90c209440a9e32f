import { BOUNDS } from '@replyx/protocol';
import type { InboxAddress } from '../inbox-port.js';
import type {
  DialogClaim,
  EvictionCode,
  MarkRequest,
  Member,
  PresenceChange,
  PresentMember,
  RegisteredConnection,
  RegisterRequest,
  RegisterResult,
  Roster,
  RosterConnection,
  StoredMark,
} from '../ports.js';
import type { MemoryCluster } from './cluster.js';
import { recordOf } from './directory.js';
import { handoffOf } from './handoffs.js';
import type { MemoryInboxWriter } from './inbox.js';
import type { MemoryLog } from './log.js';
import type { MemoryNode } from './node.js';
import { type Connection, type Dialog, type Meta, userOf } from './store.js';

export class MemoryRoster implements Roster {
  readonly #cluster: MemoryCluster;
  readonly #node: MemoryNode;
  readonly #inbox: MemoryInboxWriter;
  readonly #log: Pick<MemoryLog, 'head'>;

  constructor(cluster: MemoryCluster, node: MemoryNode, inbox: MemoryInboxWriter, log: Pick<MemoryLog, 'head'>) {
    this.#cluster = cluster;
    this.#node = node;
    this.#inbox = inbox;
    this.#log = log;
  }

  async register(request: RegisterRequest): Promise<RegisterResult> {
    this.#cluster.enter(this.#node);
    const { dialogId, connectionId, member, claim, inbox, heads = [] } = request;
    const known = this.#cluster.dialog(dialogId);
    const fixed = settleClaim(known?.meta, claim);
    if (fixed === undefined) return { status: 'not_found' };
    const room = this.#makeRoom(known, request);
    if (room === undefined) return { status: 'full' };
    const dialog = known ?? this.#cluster.ensureDialog(dialogId);
    const meta = this.#cluster.ensureMeta(dialog);
    const wasKnown = meta.tenant !== undefined;
    Object.assign(meta, fixed);
    this.#extend(meta);
    if (!wasKnown) this.#inbox.event(dialogId, inbox, { kind: 'opened' });
    const user = userOf(member);
    const before = this.#isPresent(dialog, user, this.#node.live);
    // Also by a connection of a dead node, of which the inbox has not been told that it went.
    const announced = isAnnounced(dialog, user);
    if (room.oldest !== undefined) this.#evict(dialogId, dialog, room.oldest, 'CONNECTION_LIMIT');
    dialog.connections.set(connectionId, this.#connection(member, request.clientId, inbox));
    const present = this.#present(dialog, member);
    const self = present[0] as PresentMember;
    if (!before) this.#tell(dialogId, 'join', self);
    if (!announced) this.#inbox.event(dialogId, inbox, { kind: 'user_connected', user: member });
    return {
      status: 'registered',
      dialog: recordOf(meta) as NonNullable<ReturnType<typeof recordOf>>,
      members: present.slice(0, BOUNDS.presenceUsers),
      count: { operators: present.length, visitors: present.filter(({ wrote }) => wrote).length },
      marks: this.#marks(dialog, meta),
      wrote: self.wrote,
      superseded: room.older,
      handoff: handoffOf(dialog, meta),
      openStreams: [...dialog.streams.values()].filter(({ state }) => state === 'open').length,
      heads: heads.map((track) => this.#log.head(dialogId, track)),
    };
  }

  async evict(dialogId: string, connectionIds: readonly string[]): Promise<void> {
    this.#cluster.enter(this.#node);
    const dialog = this.#cluster.dialog(dialogId);
    if (dialog === undefined) return;
    for (const gone of connectionIds) this.#evict(dialogId, dialog, gone, 'CONFLICT_CONNECTION');
  }

  async unregister(dialogId: string, connectionId: string): Promise<void> {
    this.#cluster.enter(this.#node);
    const dialog = this.#cluster.dialog(dialogId);
    const connection = dialog?.connections.get(connectionId);
    if (dialog === undefined || connection === undefined) return;
    dialog.connections.delete(connectionId);
    this.#tellIfGone(dialogId, dialog, connection.member, this.#node.live);
    this.#tellInboxIfGone(dialogId, dialog, connection);
  }

  async connections(dialogId: string): Promise<readonly RosterConnection[]> {
    this.#cluster.enter(this.#node);
    const connections = [...(this.#cluster.dialog(dialogId)?.connections ?? [])];
    return connections
      .filter(([, { incarnation }]) => this.#node.live.has(incarnation))
      .map(([connectionId, { incarnation, nodeId, member, clientId }]) => ({
        dialogId,
        connectionId,
        member,
        ...(clientId === undefined ? {} : { clientId }),
        incarnation,
        nodeId,
      }));
  }

  async mark({ dialogId, track, member, offset }: MarkRequest): Promise<number> {
    this.#cluster.enter(this.#node);
    const dialog = this.#cluster.dialog(dialogId);
    const head = dialog?.meta?.places[track]?.offset ?? 0;
    const key = `${track}\n${userOf(member)}`;
    const current = Math.min(dialog?.marks.get(key)?.offset ?? 0, head);
    const wanted = Math.min(offset, head);
    if (dialog === undefined || wanted <= current) return current;
    dialog.marks.set(key, { member: copyOf(member), track, offset: wanted });
    const emit = (audience: 'all' | 'operators' | 'visitors', id: string): void => {
      const { role, name } = member;
      const sender = { role, id, ...(name === undefined ? {} : { name }) };
      const notice = { type: 'read', sender, offset: wanted, ...(track === 'internal' ? { track } : {}) };
      const ref = { dialogId, track };
      const frame = new TextEncoder().encode(JSON.stringify(notice));
      this.#cluster.send(ref, { kind: 'ephemeral', ref, audience, frame });
    };
    if (track === 'main' && member.role !== 'manager') {
      emit('all', member.id);
    } else {
      emit('operators', member.id);
      if (track === 'main' && dialog.writers.has(userOf(member))) emit('visitors', member.publicId);
    }
    return wanted;
  }

  async sweep(incarnation: string): Promise<number> {
    this.#cluster.enter(this.#node);
    const beat = this.#cluster.data.beats.get(incarnation);
    if (beat !== undefined && this.#cluster.nowMs - beat.atMs < this.#node.options.nodeTtlMs) return 0;
    const live = new Set(this.#node.live);
    live.delete(incarnation);
    let removed = 0;
    for (const [dialogId, dialog] of this.#cluster.data.dialogs) {
      const gone: Connection[] = [];
      for (const [connectionId, connection] of dialog.connections) {
        if (connection.incarnation !== incarnation) continue;
        dialog.connections.delete(connectionId);
        removed++;
        if (!gone.some(({ member }) => userOf(member) === userOf(connection.member))) gone.push(connection);
      }
      for (const connection of gone) {
        this.#tellIfGone(dialogId, dialog, connection.member, live);
        this.#tellInboxIfGone(dialogId, dialog, connection);
      }
    }
    return removed;
  }

  async renew(connections: readonly RegisteredConnection[]): Promise<number> {
    this.#cluster.enter(this.#node);
    let restored = 0;
    for (const { dialogId, connectionId, member, clientId, inbox } of connections) {
      const dialog = this.#cluster.ensureDialog(dialogId);
      if (dialog.meta !== undefined) this.#extend(dialog.meta);
      if (dialog.connections.has(connectionId)) continue;
      const before = this.#isPresent(dialog, userOf(member), this.#node.live);
      const announced = isAnnounced(dialog, userOf(member));
      dialog.connections.set(connectionId, this.#connection(member, clientId, inbox));
      if (!announced) this.#inbox.event(dialogId, inbox, { kind: 'user_connected', user: member });
      restored++;
      if (!before) this.#tell(dialogId, 'join', { ...copyOf(member), wrote: wrote(dialog, member) });
    }
    return restored;
  }

  #connection(member: Member, clientId: string | undefined, inbox: InboxAddress | undefined): Connection {
    const { incarnation, nodeId } = this.#node.options;
    return { incarnation, nodeId, member: copyOf(member), clientId, inbox };
  }

  #evict(dialogId: string, dialog: Dialog, connectionId: string, code: EvictionCode): void {
    if (!dialog.connections.delete(connectionId)) return;
    this.#cluster.send({ dialogId, track: 'main' }, { kind: 'evicted', dialogId, connectionId, code });
  }

  /** Older connections of the client, and who gives way; `undefined` where the dialog is full. `register.lua` says the same. */
  #makeRoom(
    dialog: Dialog | undefined,
    { connectionId, member, clientId, limit = 0, atLimit }: RegisterRequest,
  ): { readonly older: readonly string[]; readonly oldest: string | undefined } | undefined {
    const older: string[] = [];
    const user = userOf(member);
    let live = 0;
    let oldest: string | undefined;
    for (const [id, other] of dialog?.connections ?? []) {
      if (id === connectionId) continue;
      const isOwn = userOf(other.member) === user;
      if (isOwn && clientId !== undefined && other.clientId === clientId) {
        older.push(id);
      } else if (this.#node.live.has(other.incarnation)) {
        live++;
        if (isOwn) oldest ??= id;
      }
    }
    if (limit <= 0 || live < limit) return { older, oldest: undefined };
    return atLimit === 'replace' && oldest !== undefined ? { older, oldest } : undefined;
  }

  #extend(meta: Meta): void {
    meta.expiresMs = Math.max(meta.expiresMs, this.#cluster.nowMs + this.#cluster.presenceTtlMs);
  }

  #isPresent(dialog: Dialog, user: string, live: ReadonlySet<string>): boolean {
    for (const { incarnation, member } of dialog.connections.values()) {
      if (live.has(incarnation) && userOf(member) === user) return true;
    }
    return false;
  }

  /** Everybody with a live connection, each once, `self` first. */
  #present(dialog: Dialog, self: Member): PresentMember[] {
    const found = new Map<string, PresentMember>();
    found.set(userOf(self), { ...copyOf(self), wrote: wrote(dialog, self) });
    for (const { incarnation, member } of dialog.connections.values()) {
      if (!this.#node.live.has(incarnation) || found.has(userOf(member))) continue;
      found.set(userOf(member), { ...member, wrote: wrote(dialog, member) });
    }
    return [...found.values()];
  }

  #marks(dialog: Dialog, meta: Meta): StoredMark[] {
    const marks: StoredMark[] = [];
    for (const { member, track, offset } of dialog.marks.values()) {
      // A mark may outlive the history it points into.
      const shown = Math.min(offset, meta.places[track]?.offset ?? 0);
      if (shown > 0) marks.push({ ...member, track, offset: shown, wrote: wrote(dialog, member) });
    }
    return marks;
  }

  #tellIfGone(dialogId: string, dialog: Dialog, member: Member, live: ReadonlySet<string>): void {
    if (this.#isPresent(dialog, userOf(member), live)) return;
    this.#tell(dialogId, 'leave', { ...member, wrote: wrote(dialog, member) });
  }

  /** It hears of it when nothing is left of the user, also nothing of a dead node: its sweep will tell. */
  #tellInboxIfGone(dialogId: string, dialog: Dialog, { member, inbox }: Connection): void {
    if (isAnnounced(dialog, userOf(member))) return;
    this.#inbox.event(dialogId, inbox, { kind: 'user_disconnected', user: member });
  }

  #tell(dialogId: string, state: PresenceChange['state'], member: PresentMember): void {
    this.#cluster.send({ dialogId, track: 'main' }, { kind: 'presence', dialogId, change: { state, member } });
  }
}

/** Whether an inbox was told that the user came. */
const isAnnounced = (dialog: Dialog, user: string): boolean => {
  for (const { member, inbox } of dialog.connections.values()) {
    if (inbox !== undefined && userOf(member) === user) return true;
  }
  return false;
};

const copyOf = ({ role, id, name, publicId }: Member): Member => ({
  role,
  id,
  ...(name === undefined ? {} : { name }),
  publicId,
});

/** Whether visitors may know of the member: managers only once they have written in the main track. */
const wrote = (dialog: Dialog, member: Member): boolean =>
  member.role !== 'manager' || dialog.writers.has(userOf(member));

/** What the claim fixes of the record, where it may be let in; `register.lua` says the same. */
const settleClaim = (
  meta: Meta | undefined,
  { tenant, assistantId, visitorId, assistants, directory }: DialogClaim,
): Pick<Meta, 'tenant' | 'assistantId' | 'visitorId'> | undefined => {
  if (meta?.tenant === undefined && directory === 'strict') return undefined;
  if (meta?.tenant !== undefined && meta.tenant !== tenant) return undefined;
  let assistant = meta?.assistantId;
  if (assistantId !== undefined) {
    if (assistant === undefined && directory === 'open') assistant = assistantId;
    if (assistant !== assistantId) return undefined;
  }
  const visitor = meta?.visitorId ?? visitorId;
  if (visitorId !== undefined && visitor !== visitorId) return undefined;
  if (assistants !== undefined && (assistant === undefined || !assistants.includes(assistant))) return undefined;
  return { tenant, assistantId: assistant, visitorId: visitor };
};
