import type { Clock } from '@replyx/core';
import type { Fetch } from '../auth/jwks.js';
import type { GatewayConfig } from '../config/gateway-config.js';
import { readLeniently } from '../config/read-config.js';
import type { Env, ReadFile } from '../config/setting-reader.js';
import { addressKind } from './address-kind.js';
import { type AskParts, ask } from './ask.js';
import type { AuditFacts, EdgeFacts, NodeFacts } from './facts.js';
import { lookAtEdge } from './look-at-edge.js';
import { isAlive, lookAtNode } from './look-at-node.js';
import { type Inspect, redisTargets } from './redis-targets.js';
import { secretFacts } from './secret-facts.js';

export interface CollectParts {
  readonly env: Env;
  readonly readFile: ReadFile;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly fetch: Fetch;
  /** Absent: Redis is not asked. */
  readonly inspect?: Inspect | undefined;
  /** Addresses of which each may be public or a node's internal one; without a slash at the end. */
  readonly urls: readonly string[];
  readonly internalUrls: readonly string[];
  /** For the internal API; absent: one of the configuration's own keys. */
  readonly key?: string | undefined;
}

/** The limit of open files of this process, which a node that is started from here inherits. Linux only. */
const descriptorsHere = (readFile: ReadFile): number | undefined => {
  try {
    const soft = /^Max open files\s+(\d+)\s/m.exec(readFile('/proc/self/limits'))?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
};

/**
 * Whether a `--url` is a node's internal address. At a public address an internal listener is a fault to be found, so there it
 * never counts as meant.
 */
const isInternal = async (parts: AskParts, url: string): Promise<boolean> => {
  const kind = addressKind(new URL(url).hostname);
  return (kind === 'loopback' || kind === 'private') && isAlive(await ask(parts, `${url}/livez`));
};

const lookAtUrls = async (
  parts: CollectParts,
  config: GatewayConfig,
): Promise<{ readonly nodes: readonly NodeFacts[]; readonly edges: readonly EdgeFacts[] }> => {
  const { urls, internalUrls } = parts;
  const internal = internalUrls.length > 0 ? [] : await Promise.all(urls.map((url) => isInternal(parts, url)));
  const key = parts.key ?? config.auth.apiKeys[0]?.reveal();
  const [nodes, edges] = await Promise.all([
    Promise.all([...internalUrls, ...urls.filter((_, at) => internal[at])].map((url) => lookAtNode(parts, url, key))),
    Promise.all(urls.filter((_, at) => internal[at] !== true).map((url) => lookAtEdge(parts, url))),
  ]);
  return { nodes, edges };
};

/** Gathers what the checks look at. Changes nothing anywhere; what does not answer is a fact too. */
export const collect = async (parts: CollectParts): Promise<AuditFacts> => {
  const { env, readFile } = parts;
  const { config, problems, warnings } = readLeniently(env, readFile);
  const [redis, seen] = await Promise.all([redisTargets(env, readFile, parts.inspect), lookAtUrls(parts, config)]);
  return {
    config,
    problems,
    warnings,
    secrets: secretFacts(env, readFile),
    jwksOverHttp: /^http:/i.test(env['WS_JWKS_URL'] ?? ''),
    redis,
    descriptors: descriptorsHere(readFile),
    ...seen,
  };
};
