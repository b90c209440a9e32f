import { type Check, troubleIf } from './check.js';

/** Of the configuration as a whole. */
export const CONFIG_CHECKS: readonly Check[] = [
  {
    id: 'RX001',
    severity: 'high',
    title: 'The configuration is not valid',
    why: 'A node does not start with it.',
    remedy: 'Correct the value; `replyx check-config` lists everything that is wrong.',
    find: ({ problems }) => problems.map(({ name, message }) => ({ subject: name, detail: message })),
  },
  {
    id: 'RX002',
    severity: 'high',
    title: 'The node does not run as production',
    why: 'Outside production, absent secrets are made up, weak ones pass, and tokens in the query are taken by default.',
    remedy: 'Set `ENVIRONMENT=production`.',
    find: ({ config }) => troubleIf(!config.production, 'ENVIRONMENT', `is ${config.environment}`),
  },
  {
    id: 'RX003',
    severity: 'low',
    title: 'A setting is not known',
    why: 'What it was meant to change is at its default.',
    remedy: 'Correct the name, or remove it; `replyx config-docs` lists all.',
    find: ({ warnings }) =>
      warnings
        .filter(({ kind }) => kind === 'unknown')
        .map(({ name, message }) => ({ subject: name, detail: message })),
  },
  {
    id: 'RX004',
    severity: 'info',
    title: 'A setting changes nothing in this version',
    why: 'It is checked and not enforced yet.',
    remedy: 'Enforce it at the edge until it is.',
    find: ({ warnings }) =>
      warnings
        .filter(({ kind }) => kind === 'not_enforced')
        .map(({ name, message }) => ({ subject: name, detail: message })),
  },
];
