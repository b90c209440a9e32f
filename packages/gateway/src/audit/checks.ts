import { ACCESS_CHECKS } from './access-checks.js';
import { type Check, type Finding, SEVERITIES } from './check.js';
import { CONFIG_CHECKS } from './config-checks.js';
import { EDGE_CHECKS } from './edge-checks.js';
import type { AuditFacts } from './facts.js';
import { LIMIT_CHECKS } from './limit-checks.js';
import { NETWORK_CHECKS } from './network-checks.js';
import { NODE_CHECKS } from './node-checks.js';
import { PROCESS_CHECKS } from './process-checks.js';
import { REDIS_CHECKS } from './redis-checks.js';
import { REDIS_URL_CHECKS } from './redis-url-checks.js';
import { SECRET_CHECKS } from './secret-checks.js';

/** Every check, in the order of their ids. */
export const CHECKS: readonly Check[] = [
  ...CONFIG_CHECKS,
  ...SECRET_CHECKS,
  ...ACCESS_CHECKS,
  ...LIMIT_CHECKS,
  ...NETWORK_CHECKS,
  ...PROCESS_CHECKS,
  ...REDIS_URL_CHECKS,
  ...REDIS_CHECKS,
  ...NODE_CHECKS,
  ...EDGE_CHECKS,
];

const INVALID = 'RX001';

/** All findings, the gravest first. What a high finding says of a setting is not said again as "not valid". */
export const audit = (facts: AuditFacts): readonly Finding[] => {
  const all = CHECKS.flatMap(({ find, ...check }) => find(facts).map((trouble): Finding => ({ ...check, ...trouble })));
  const explained = new Set(
    all.flatMap(({ id, severity, subject }) => (id !== INVALID && severity === 'high' ? subject : [])),
  );
  return all
    .filter(({ id, subject }) => id !== INVALID || !explained.has(subject))
    .toSorted((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity));
};
