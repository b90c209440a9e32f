import { jsonText, printable } from '../client/printable.js';
import type { CheckDescription, Finding, Severity } from './check.js';
import type { Report } from './report.js';

const LEVELS: Readonly<Record<Severity, 'error' | 'warning' | 'note'>> = {
  high: 'error',
  medium: 'warning',
  low: 'note',
  info: 'note',
};

/** On the scale of CVSS, by which code hosts sort. */
const SCORES: Readonly<Record<Severity, string>> = { high: '8.0', medium: '5.0', low: '3.0', info: '0.0' };

const ruleOf = ({ id, severity, title, why, remedy }: CheckDescription) => ({
  id,
  shortDescription: { text: title },
  fullDescription: { text: why },
  help: { text: remedy },
  defaultConfiguration: { level: LEVELS[severity] },
  properties: { severity, 'security-severity': SCORES[severity], tags: ['security', 'configuration'] },
});

const resultOf = ({ id, severity, title, subject, detail }: Finding, rules: readonly CheckDescription[]) => ({
  ruleId: id,
  ruleIndex: rules.findIndex((rule) => rule.id === id),
  level: LEVELS[severity],
  message: { text: `${title}: ${printable(subject)} ${printable(detail)}` },
  locations: [{ logicalLocations: [{ name: printable(subject), kind: 'resource' }] }],
  // The same trouble keeps its identity when its numbers change.
  partialFingerprints: { 'subject/v1': `${id} ${printable(subject)}` },
});

/** SARIF 2.1.0: every check is a rule, every finding a result. */
export const sarifReport = ({ findings, version }: Report, rules: readonly CheckDescription[]): string =>
  jsonText({
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'replyx audit', version, rules: rules.map(ruleOf) } },
        invocations: [{ executionSuccessful: true }],
        results: findings.map((finding) => resultOf(finding, rules)),
      },
    ],
  });
