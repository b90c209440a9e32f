import { randomBytes } from 'node:crypto';
import { addressKind } from './address-kind.js';
import { type Answer, type AskParts, ask } from './ask.js';
import type { ClusterNode, NodeFacts } from './facts.js';

const isText = (value: unknown): value is string => typeof value === 'string';
const isRow = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

/** Whether an answer to `/livez` is a gateway's. */
export const isAlive = (answer: Answer): boolean =>
  answer.reached && answer.http === 200 && answer.json['status'] === 'alive';

/** Whether an answer to `/metrics` is a gateway's. */
export const hasMetrics = (answer: Answer): boolean =>
  answer.reached && answer.http === 200 && /^# HELP (replyx|websocket)_/m.test(answer.text);

/** Whether an answer to `/v1/cluster` shows the nodes. */
const showsNodes = (answer: Answer): boolean =>
  answer.reached && answer.http === 200 && Array.isArray(answer.json['nodes']);

/** Whether an answer comes from the internal API, be it a refusal. */
export const isInternalApi = (answer: Answer): boolean =>
  showsNodes(answer) || (answer.reached && answer.http === 401 && answer.json['code'] === 'unauthorized');

const unreadyReasons = (answer: Answer): readonly string[] => {
  if (!answer.reached) return [answer.why];
  if (answer.http === 200) return [];
  const { reasons } = answer.json;
  const told = Array.isArray(reasons) ? reasons.filter(isText) : [];
  return told.length > 0 ? told : [`HTTP ${answer.http}`];
};

const nodesOf = (answer: Answer | undefined): readonly ClusterNode[] => {
  const nodes = answer?.reached === true ? answer.json['nodes'] : undefined;
  if (!Array.isArray(nodes)) return [];
  return nodes.filter(isRow).map((node) => ({
    id: String(node['id']),
    version: String(node['version']),
    lagMs: Number(node['lag_ms']),
  }));
};

const descriptorsOf = (answer: Answer): number | undefined => {
  const told = answer.reached ? /^process_max_fds (\d+)$/m.exec(answer.text)?.[1] : undefined;
  return told === undefined ? undefined : Number(told);
};

/** Asks a node's internal listener. `url` has no slash at its end. Changes nothing on the node. */
export const lookAtNode = async (parts: AskParts, url: string, key: string | undefined): Promise<NodeFacts> => {
  const alive = await ask(parts, `${url}/livez`);
  if (!alive.reached) return { url, reached: false, why: alive.why };
  if (!isAlive(alive)) return { url, reached: false, why: `is no internal listener (HTTP ${alive.http})` };
  const cluster = (given: string | undefined): Promise<Answer> =>
    ask(parts, `${url}/v1/cluster`, given === undefined ? {} : { headers: { authorization: `Bearer ${given}` } });
  const [ready, metrics, withoutKey, withWrongKey, withKey] = await Promise.all([
    ask(parts, `${url}/readyz`),
    ask(parts, `${url}/metrics`),
    cluster(undefined),
    cluster(randomBytes(32).toString('base64url')),
    key === undefined ? undefined : cluster(key),
  ]);
  return {
    url,
    reached: true,
    place: addressKind(new URL(url).hostname),
    unready: unreadyReasons(ready),
    metrics: hasMetrics(metrics),
    descriptors: descriptorsOf(metrics),
    openToAll: showsNodes(withoutKey) || showsNodes(withWrongKey),
    acceptsKey: withKey === undefined ? undefined : withKey.reached && withKey.http !== 401,
    cluster: nodesOf(withKey),
    clock: alive.clock,
  };
};
