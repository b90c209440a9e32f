import type { GivenToken, SigningKey } from './token-mint.js';

export const SCENARIOS = {
  idle: 'many connections, each in its own dialog, that do nothing',
  dialogs: 'many small dialogs at an open-loop rate of messages',
  hot: 'one large dialog',
  storm: 'all readers cut at once; they come back and recover what they missed',
  connects: 'connects at an open-loop rate, each closed when it is admitted',
  flood: 'attempts that must be refused, while admitted clients chat',
  soak: 'dialogs for hours, with clients that leave and resume; watches for growth',
  rolling: 'dialogs while nodes are drained, killed or replaced',
} as const;

export type Scenario = keyof typeof SCENARIOS;

export const isScenario = (name: string): name is Scenario => Object.hasOwn(SCENARIOS, name);

export const ATTEMPT_KINDS = {
  'bad-token': 'a token whose signature is wrong',
  expired: 'a genuine token that has expired',
  origin: 'a genuine token from a foreign origin',
  unknown: 'a genuine token for another dialog',
  garbage: 'bytes that are no HTTP request',
  denied: 'a genuine token from a denied address (--denied-address)',
} as const;

export type AttemptKind = keyof typeof ATTEMPT_KINDS;

export interface LoadPlan {
  readonly scenario: Scenario;
  /** Random name of the run, in the ids of its dialogs and messages: `a-z0-9`. */
  readonly run: string;
  readonly urls: readonly string[];
  readonly origin: string;
  readonly role: 'visitor' | 'operator';
  /** Dialogs of the run; with `perDialog` sockets each. Storm: one of these is the writer, which stays. */
  readonly dialogs: number;
  readonly perDialog: number;
  /** Messages a second; connects a second in `connects`. */
  readonly rate: number;
  readonly rampMs: number;
  readonly durationMs: number;
  /** How long deliveries are waited for at the end. */
  readonly settleMs: number;
  /** Connects a second while the sockets are opened. */
  readonly connectRate: number;
  readonly textBytes: number;
  /** Soak: clients a second that leave and resume. */
  readonly churn: number;
  /** Storm: publications that each reader misses, cuts, and the time over which the readers come back. */
  readonly missed: number;
  readonly waves: number;
  readonly spreadMs: number;
  /** Flood: the time before it in which the admitted clients are alone, and the attempts. */
  readonly quietMs: number;
  readonly attempts: readonly AttemptKind[];
  readonly attemptRate: number;
  readonly deniedAddresses: readonly string[];
  readonly sourceAddresses: readonly string[];
  readonly tenant: string;
  readonly assistantId: string;
  readonly key: SigningKey | undefined;
  readonly tokenLifeSeconds: number;
  readonly tokens: readonly GivenToken[] | undefined;
  /** Accept any certificate of wss:// targets. */
  readonly insecure: boolean;
  readonly drivers: number;
}

/** The ids of the run's own dialogs. */
export const dialogIdOf = (run: string, index: number): string => `load-${run}-${index}`;

/** Messages are sent in all but these. */
export const hasMessages = ({ scenario, rate }: Pick<LoadPlan, 'scenario' | 'rate'>): boolean =>
  rate > 0 && scenario !== 'idle' && scenario !== 'connects' && scenario !== 'storm';

/** Sockets that are held open. */
export const heldSockets = (plan: Pick<LoadPlan, 'scenario' | 'tokens' | 'dialogs' | 'perDialog'>): number =>
  plan.scenario === 'connects' ? 0 : (plan.tokens?.length ?? plan.dialogs * plan.perDialog);

export interface PlannedClient {
  readonly slot: number;
  readonly token?: string;
  readonly role: 'visitor' | 'operator';
}

export interface PlannedDialog {
  readonly index: number;
  readonly id: string;
  readonly clients: readonly PlannedClient[];
}

const givenDialogs = (tokens: readonly GivenToken[]): PlannedDialog[] => {
  const byId = new Map<string, PlannedClient[]>();
  for (const { token, dialogId, role } of tokens) {
    const clients = byId.get(dialogId) ?? [];
    clients.push({ slot: clients.length, token, role });
    byId.set(dialogId, clients);
  }
  return [...byId].map(([id, clients], index) => ({ index, id, clients }));
};

/**
 * One driver's part of the sockets: whole dialogs, so that it can check them alone. The one dialog of `hot` is divided by sockets; its
 * head is told to all drivers at the end.
 */
export const partOf = (plan: LoadPlan, driver: number): PlannedDialog[] => {
  const { drivers, perDialog, role } = plan;
  if (plan.tokens !== undefined && plan.scenario !== 'hot') {
    return givenDialogs(plan.tokens).filter(({ index }) => index % drivers === driver);
  }
  if (plan.scenario === 'hot') {
    const [all] = plan.tokens === undefined ? [] : givenDialogs(plan.tokens);
    const slots = Array.from({ length: perDialog }, (_, slot): PlannedClient => ({ slot, role }));
    const clients = (all?.clients ?? slots).filter(({ slot }) => slot % drivers === driver);
    return [{ index: 0, id: all?.id ?? dialogIdOf(plan.run, 0), clients }];
  }
  const count = Math.max(0, Math.ceil((plan.dialogs - driver) / drivers));
  return Array.from({ length: count }, (_, n) => {
    const index = driver + n * drivers;
    return {
      index,
      id: dialogIdOf(plan.run, index),
      clients: Array.from({ length: perDialog }, (_, slot) => ({ slot, role })),
    };
  });
};
