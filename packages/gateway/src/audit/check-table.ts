import { CHECKS } from './checks.js';

/** Every check as a Markdown table. */
export const checkTable = (): string =>
  [
    '| id | severity | what is found | why it matters | what to do |',
    '|---|---|---|---|---|',
    ...CHECKS.map(
      ({ id, severity, title, why, remedy }) => `| \`${id}\` | ${severity} | ${title} | ${why} | ${remedy} |`,
    ),
    '',
  ].join('\n');
