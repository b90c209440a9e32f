import { fakeClock, seededRandom } from '@replyx/testkit';
import { CONTRACT_OPTIONS, publication } from '@replyx/testkit/contract';
import { InboxDispatcher } from '../src/inbox-dispatcher.js';
import type { Attempt, DeliveryResult, InboxNotice, InboxRoute } from '../src/inbox-partition.js';
import type { InboxEntry } from '../src/inbox-port.js';
import { memoryCluster } from '../src/memory/index.js';
import type { Backplane } from '../src/ports.js';

export const LEASE_TTL_MS = 15_000;

/** One attempt at the backend, answered by the test or by the backend's rule. */
export interface SeenAttempt {
  readonly node: string;
  readonly dialogId: string;
  readonly assistantId: string;
  /** Id of the message, or the kind of the event. */
  readonly what: string;
  readonly number: number;
  readonly atMs: number;
  readonly signal: AbortSignal;
  answer(result: DeliveryResult): void;
}

export interface DispatchingNode {
  readonly incarnation: string;
  readonly backplane: Backplane;
  readonly dispatcher: InboxDispatcher;
  draining: boolean;
}

const whatOf = ({ body }: InboxEntry): string => {
  const parsed = JSON.parse(body) as { kind: string; message?: { id: string } };
  return parsed.message?.id ?? parsed.kind;
};

/** Nodes that dispatch one inbox in memory to a backend that the test plays. */
export const dispatching = () => {
  const clock = fakeClock();
  const random = seededRandom(7);
  const cluster = memoryCluster({ clock, random });
  const nodes: DispatchingNode[] = [];
  const attempts: SeenAttempt[] = [];
  const notices: InboxNotice[] = [];
  const bugs: unknown[] = [];
  const routes = new Map<string, InboxRoute>();
  const confirmed = new Map<string, InboxRoute>();
  let rule: (attempt: SeenAttempt) => DeliveryResult | undefined = () => 'delivered';

  const deliver =
    (node: string) =>
    (entry: InboxEntry, { number, signal }: Attempt): Promise<DeliveryResult> =>
      new Promise((resolve) => {
        const attempt: SeenAttempt = {
          node,
          dialogId: entry.dialogId,
          assistantId: entry.assistantId,
          what: whatOf(entry),
          number,
          atMs: clock.monotonicMs(),
          signal,
          answer: resolve,
        };
        attempts.push(attempt);
        signal.addEventListener('abort', () => resolve('aborted'));
        const result = rule(attempt);
        if (result !== undefined) resolve(result);
      });

  const open = async (incarnation = `n${nodes.length}`, inboxMax = 10_000): Promise<DispatchingNode> => {
    const backplane = cluster.open({ ...CONTRACT_OPTIONS, incarnation, nodeId: incarnation, inboxMax });
    const dispatcher = new InboxDispatcher({
      inbox: backplane.inbox,
      incarnation,
      nodes: () => nodes.map((one) => ({ incarnation: one.incarnation, draining: one.draining })),
      clock,
      random,
      leaseTtlMs: LEASE_TTL_MS,
      routeOf: (assistantId) => routes.get(assistantId) ?? 'webhook',
      confirmRoute: async (assistantId) => confirmed.get(assistantId) ?? routes.get(assistantId) ?? 'webhook',
      deliver: deliver(incarnation),
      onNotice: (notice) => notices.push(notice),
      onBug: (error) => bugs.push(error),
    });
    const node = { incarnation, backplane, dispatcher, draining: false };
    nodes.push(node);
    dispatcher.start();
    await clock.advanceAsync(1_000);
    return node;
  };

  const write = async (node: DispatchingNode, dialogId: string, ids: readonly string[], inbox = 'bot') => {
    for (const id of ids) {
      const result = await node.backplane.log.publish(publication(dialogId, { id, inbox }));
      if (result.status !== 'appended') throw new Error(result.status);
    }
  };

  return {
    clock,
    cluster,
    nodes,
    attempts,
    notices,
    bugs,
    routes,
    confirmed,
    open,
    write,
    /** What the backend answers at once; `undefined`: the test answers. */
    answering: (next: (attempt: SeenAttempt) => DeliveryResult | undefined) => {
      rule = next;
    },
    /** What was accepted of a dialog, in order. */
    seen: (dialogId: string): string[] => attempts.filter((one) => one.dialogId === dialogId).map(({ what }) => what),
    /** The node is gone without a word. */
    kill: (node: DispatchingNode) => {
      node.dispatcher.abandon();
      cluster.killNode(node.incarnation);
      nodes.splice(nodes.indexOf(node), 1);
    },
  };
};
