import { jsonText, printable } from '../client/printable.js';
import { type Finding, SEVERITIES, type Severity } from './check.js';

export interface Report {
  /** What was looked at, a line each. */
  readonly lookedAt: readonly string[];
  /** The gravest first. */
  readonly findings: readonly Finding[];
  readonly version: string;
}

export const countBySeverity = (findings: readonly Finding[]): Readonly<Record<Severity, number>> =>
  Object.fromEntries(
    SEVERITIES.map((severity) => [severity, findings.filter((finding) => finding.severity === severity).length]),
  ) as Record<Severity, number>;

/** For people. The reason and the remedy stand with the first finding of a check. */
export const textReport = ({ findings, lookedAt }: Report): string => {
  const explained = new Set<string>();
  const blocks = findings.map(({ id, severity, title, subject, detail, why, remedy }) => {
    const head = `${severity.padEnd(6)}  ${id}  ${title}: ${printable(subject)} ${printable(detail)}\n`;
    if (explained.has(id)) return head;
    explained.add(id);
    return `${head}               why: ${why}\n               do:  ${remedy}\n`;
  });
  const counts = Object.entries(countBySeverity(findings)).map(([severity, count]) => `${count} ${severity}`);
  return `${blocks.join('')}${blocks.length > 0 ? '\n' : ''}Looked at ${printable(lookedAt.join(', '))}.\n${counts.join(', ')}.\n`;
};

export const jsonReport = ({ findings, lookedAt, version }: Report): string => {
  const counts = countBySeverity(findings);
  return jsonText({ ok: counts.high === 0, version, counts, looked_at: lookedAt, findings });
};
