import { join } from 'node:path';
import { scratchPath, seededRandom, until } from '@replyx/testkit';
import { at, type WorldNode } from '../integration/world.js';
import { Backend } from './backend.js';
import { Cast } from './cast/cast.js';
import { ChatClient } from './chat-client.js';
import { Checker, type Verdict } from './checker.js';
import { type ChaosCluster, type ClusterOptions, startChaosCluster } from './cluster.js';
import { strike, type Victims } from './faults.js';
import { Journal, readJournal, type Track } from './journal.js';
import { Load } from './load.js';
import { type Fault, LOSES_DATA, struckNode } from './plan.js';

export interface StageOptions {
  readonly seed: number;
  /** Default 6. */
  readonly dialogs?: number;
  /** Clients of each dialog: two tabs of the visitor, then operators. Default 4. */
  readonly clientsPerDialog?: number;
  /** Messages a second over all dialogs. Default 60. */
  readonly perSecond?: number;
  readonly cluster?: ClusterOptions;
  readonly silenceMs?: number;
  /** True: there are streamed answers, handoffs, locks, a webhook and revocations, too. Default false. */
  readonly cast?: boolean;
  /** True: the nth client of a dialog connects to the nth node only. Default false: each time to any. */
  readonly pinned?: boolean;
  /** By what the contract's times to come back are divided. Default 10. */
  readonly haste?: number;
  /** True: each client connects to the first node first, but for one of each twelve. */
  readonly crowded?: boolean;
  /** File of the journal; default one that goes with the process. */
  readonly journalPath?: string;
  /** How long all may take to be well again once nothing is wrong any more. A guard against hanging. Default 90000. */
  readonly settleGuardMs?: number;
}

export interface Outcome extends Verdict {
  readonly seed: number;
  readonly journalPath: string;
  /** What kept all from being well at the end; undefined where they were. */
  readonly unsettled: string | undefined;
}

const VISITORS = 2;
const CROWD = 12;
/** Clients that connect for the first time at once: faults come later. */
const MOST_CONNECTING = 100;
const SETTLE_GUARD_MS = 90_000;

const crowdOf = (
  options: StageOptions,
  dialogs: readonly string[],
  journal: Journal,
  nodes: readonly WorldNode[],
  out: ReadonlySet<WorldNode>,
): ChatClient[] => {
  const { seed, clientsPerDialog = 4, silenceMs, haste, pinned = false, crowded = false } = options;
  return dialogs.flatMap((dialog, i) =>
    Array.from({ length: clientsPerDialog }, (_, n) => {
      const isVisitor = n < VISITORS;
      return new ChatClient({
        who: `${dialog}-${isVisitor ? 'v' : 'o'}${n}`,
        dialog,
        role: isVisitor ? 'visitor' : 'operator',
        sub: isVisitor ? `visitor-${dialog}` : `operator-${n}`,
        journal,
        random: seededRandom(seed + i * 1_000 + n),
        nodes: pinned ? [at(nodes, n)] : nodes,
        out,
        returns: isVisitor,
        ...(crowded && (i * clientsPerDialog + n) % CROWD !== 0 ? { first: at(nodes, 0) } : {}),
        ...(silenceMs === undefined ? {} : { silenceMs }),
        ...(haste === undefined ? {} : { haste }),
      });
    }),
  );
};

/** A cluster under load, with all that is needed to break it and to judge it afterwards. */
export class Stage {
  readonly seed: number;
  readonly cluster: ChaosCluster;
  readonly clients: readonly ChatClient[];
  readonly dialogs: readonly string[];
  readonly backend: Backend;
  readonly journal: Journal;
  readonly load: Load;
  readonly cast: Cast | undefined;
  /** Nodes to which the balancer leads nobody. */
  readonly out = new Set<WorldNode>();
  readonly #victims: Victims;
  readonly #settleGuardMs: number;

  private constructor(options: StageOptions, cluster: ChaosCluster) {
    const { seed, dialogs: count = 6, perSecond = 60 } = options;
    this.seed = seed;
    this.cluster = cluster;
    this.journal = new Journal(options.journalPath ?? join(scratchPath('chaos'), 'journal.jsonl'));
    this.dialogs = Array.from({ length: count }, (_, i) => `d${i}`);
    this.clients = crowdOf(options, this.dialogs, this.journal, cluster.nodes, this.out);
    const random = seededRandom(seed ^ 0x5eed);
    this.backend = new Backend({ journal: this.journal, random, nodes: cluster.nodes });
    this.load = new Load({ clients: this.clients, backend: this.backend, random, perSecond });
    if (options.cast === true) {
      const { journal, dialogs, clients, backend } = this;
      this.cast = new Cast({
        journal,
        random: seededRandom(seed ^ 0xca57),
        nodes: cluster.nodes,
        dialogs,
        clients,
        backend,
      });
    }
    const register = (): Promise<void> => this.#register();
    this.#victims = { cluster, clients: this.clients, cast: this.cast, register, random };
    this.#settleGuardMs = options.settleGuardMs ?? SETTLE_GUARD_MS;
  }

  /** Starts cluster and clients, and resolves when all are connected and messages flow. */
  static async open(options: StageOptions): Promise<Stage> {
    const cluster = await startChaosCluster(options.cluster);
    const stage = new Stage(options, cluster);
    try {
      await stage.cast?.webhook.up();
      await stage.#register();
      const started: ChatClient[] = [];
      for (const client of stage.clients) {
        client.start();
        started.push(client);
        if (started.length % MOST_CONNECTING === 0)
          await until(() => started.every(({ isLive }) => isLive), { what: 'the first connections' });
      }
      await stage.allLive();
      stage.load.flow();
      stage.cast?.flow();
      return stage;
    } catch (error) {
      await stage.close();
      throw error;
    }
  }

  /** Does a fault's harm and undoes it; both are in the journal. */
  async strike(fault: Fault): Promise<void> {
    const node = struckNode(fault, this.cluster.processes.length);
    const losesData = LOSES_DATA.has(fault.kind);
    await this.during(fault.kind, () => strike(this.#victims, fault), {
      losesData,
      ...(node === undefined ? {} : { node }),
    });
  }

  /** Notes in the journal that something is wrong while `work` runs. */
  async during<T>(
    name: string,
    work: () => Promise<T>,
    of: { readonly losesData?: boolean; readonly node?: number } = {},
  ): Promise<T> {
    const fault = { kind: 'fault', name, losesData: false, ...of } as const;
    this.journal.write({ ...fault, phase: 'begins' });
    try {
      return await work();
    } finally {
      this.journal.write({ ...fault, phase: 'ends' });
    }
  }

  /** Resolves when so many more messages have been acknowledged. */
  async flowed(count: number): Promise<void> {
    const enough = this.journal.count('acked') + count;
    await until(() => this.journal.count('acked') >= enough, {
      what: `${count} acknowledgements`,
      hangGuardMs: this.#settleGuardMs,
    });
  }

  /** How many clients are without a connection. */
  get absentCount(): number {
    return this.#absent().length;
  }

  /** Resolves when every client that has not left for good is connected. */
  async allLive(): Promise<void> {
    await until(() => this.#absent().length === 0, {
      what: 'every client to be connected',
      hangGuardMs: this.#settleGuardMs,
    });
  }

  /** Resolves to the milliseconds until every node is ready and every client connected. */
  async well(): Promise<number> {
    const started = performance.now();
    await this.cluster.ready();
    await this.allLive();
    return performance.now() - started;
  }

  /** While nothing new is sent: resolves when everything is answered and every client is at its tracks' heads. */
  async whole(): Promise<void> {
    const hangGuardMs = this.#settleGuardMs;
    await until(() => this.#unanswered() === 0, { what: 'every answer', hangGuardMs });
    await until(() => this.#atHeads(), { what: 'every copy to be whole', hangGuardMs, everyMs: 100 });
    const { cast } = this;
    if (cast === undefined) return;
    await until(() => this.clients.every(({ hasLeft, openDrafts }) => hasLeft || openDrafts === 0), {
      what: 'every streamed answer to end everywhere',
      hangGuardMs,
    });
    await until(() => this.#handoffsAreTold(), { what: 'every client to know who has its dialog', hangGuardMs });
    await until(() => cast.isDelivered(this.cluster.redis), {
      what: 'the inbox to be empty',
      hangGuardMs,
      everyMs: 100,
    });
  }

  /** Ends the load, undoes every fault, waits until all are quiet, and has the journal judged. */
  async finish(): Promise<Outcome> {
    this.load.quiet();
    this.cast?.quiet();
    const troubles: string[] = [];
    const attempt = async (work: () => Promise<unknown>): Promise<void> => {
      try {
        await work();
      } catch (error) {
        troubles.push((error as Error).message);
      }
    };
    await attempt(() => this.cluster.heal());
    await attempt(async () => this.cast?.webhook.sound());
    await attempt(() => this.well());
    await attempt(() => this.whole());
    // Also where not all is well: the history shows what was lost, and what is only late.
    await attempt(() => this.#recount());
    const absent = this.#absent();
    this.load.stop();
    await Promise.all(this.clients.map((client) => client.stop()));
    await this.backend.stop();
    await this.cast?.stop();
    await this.journal.close();
    const [trouble] = troubles;
    const unsettled =
      trouble === undefined ? undefined : `${trouble}; without a connection: ${absent.join() || 'nobody'}`;
    const checker = new Checker();
    for await (const { line, entry } of readJournal(this.journal.path)) checker.see(entry, line);
    return { ...checker.verdict(), seed: this.seed, journalPath: this.journal.path, unsettled };
  }

  async close(): Promise<void> {
    this.load.stop();
    await Promise.all(this.clients.map((client) => client.stop()));
    await Promise.all([this.backend.stop(), this.cast?.stop(), this.cluster.close()]);
  }

  async #register(): Promise<void> {
    // The assistant first: what its dialogs are sent from here on goes to its inbox.
    await this.cast?.register();
    await this.cluster.register(this.dialogs);
  }

  async #recount(): Promise<void> {
    for (const dialog of this.dialogs) {
      await this.backend.recount(dialog, 'main');
      await this.backend.recount(dialog, 'internal');
      if (this.cast !== undefined) await this.backend.reckon(dialog);
    }
  }

  #absent(): string[] {
    return this.clients.filter((client) => !client.isLive && !client.hasLeft).map(({ who }) => who);
  }

  #unanswered(): number {
    const others = this.backend.pendingCount + (this.cast?.busy ?? 0);
    return this.clients.reduce((sum, client) => sum + client.unackedCount, others);
  }

  async #handoffsAreTold(): Promise<boolean> {
    for (const dialog of this.dialogs) {
      const state = await this.backend.handoff(dialog);
      if (this.clients.some((client) => client.dialog === dialog && !client.hasLeft && client.handoff !== state))
        return false;
    }
    return true;
  }

  async #atHeads(): Promise<boolean> {
    for (const dialog of this.dialogs) {
      for (const track of ['main', 'internal'] as const satisfies readonly Track[]) {
        const head = await this.backend.head(dialog, track);
        for (const client of this.clients) {
          if (client.dialog !== dialog || client.hasLeft || (track === 'internal' && client.role === 'visitor'))
            continue;
          const position = client.position(track);
          if (position?.epoch !== head.epoch || position.offset !== head.offset) return false;
        }
      }
    }
    return true;
  }
}
