import { formatNumber } from '../quantity.js';
import type { RunResult } from '../run/run-result.js';

/** What is said of a run's correctness, most important first: a sentence, and whether all is well. */
export interface Verdict {
  readonly ok: boolean;
  readonly text: string;
}

const FAULT_WORDS = {
  lost: 'lost',
  repeated: 'repeated',
  reordered: 'out of order',
  foreign: 'in a foreign dialog',
  undelivered: 'acknowledged and never delivered',
  mismatched: 'delivered with another offset than acknowledged',
  unacked: 'never acknowledged',
} as const;

const deliveryVerdict = ({ faults, counts }: RunResult): Verdict[] => {
  if (counts.delivered === 0 && counts.sent === 0) return [];
  const found = Object.entries(FAULT_WORDS).flatMap(([name, words]) => {
    const count = faults[name as keyof typeof faults];
    return count > 0 ? [`${formatNumber(count)} ${words}`] : [];
  });
  return found.length === 0
    ? [{ ok: true, text: 'every message delivered to every reader, once, in order' }]
    : [{ ok: false, text: found.join(', ') }];
};

const stormVerdict = ({ scenario, counts }: RunResult): Verdict[] => {
  if (scenario !== 'storm') return [];
  const { recovered, discontinued } = counts;
  return [
    {
      ok: discontinued === 0,
      text: `${formatNumber(recovered)} clients recovered whole, ${formatNumber(discontinued)} were told to reload`,
    },
  ];
};

const floodVerdict = ({ scenario, measures }: RunResult): Verdict[] => {
  if (scenario !== 'flood') return [];
  const admitted = measures['admitted'] ?? 0;
  const unanswered = measures['unanswered'] ?? 0;
  const failed = measures['attempts_failed'] ?? 0;
  const counted = [
    `${formatNumber(measures['attempts_refused'] ?? 0)} attempts refused`,
    `${formatNumber(admitted)} admitted`,
    `${formatNumber(unanswered)} without an answer`,
    ...(failed > 0 ? [`${formatNumber(failed)} failed: they reached nobody, or were cut without a word`] : []),
  ];
  return [{ ok: admitted + unanswered + failed === 0, text: counted.join(', ') }];
};

const otherVerdicts = ({ measures, counts, scenario, steps }: RunResult): Verdict[] => {
  const failed = steps.filter(({ result }) => result !== 'ok').length;
  const away = measures['away'] ?? 0;
  return [
    ...(away > 0 ? [{ ok: false, text: `${formatNumber(away)} clients without a connection at the end` }] : []),
    ...(counts.unsent > 0
      ? [{ ok: false, text: `${formatNumber(counts.unsent)} messages could not be sent: too many were on their way` }]
      : []),
    ...(counts.refused > 0
      ? [{ ok: false, text: `${formatNumber(counts.refused)} messages refused by the server` }]
      : []),
    ...(counts.discontinued > 0 && scenario !== 'storm'
      ? [
          {
            ok: false,
            text: `${formatNumber(counts.discontinued)} times a reader was told that its copy is not continuous`,
          },
        ]
      : []),
    ...(failed > 0
      ? [{ ok: false, text: `${formatNumber(failed)} of ${formatNumber(steps.length)} steps failed` }]
      : []),
  ];
};

const faultVerdicts = (result: RunResult): Verdict[] => [
  ...deliveryVerdict(result),
  ...stormVerdict(result),
  ...floodVerdict(result),
  ...otherVerdicts(result),
];

export const verdictsOf = (result: RunResult): Verdict[] => [
  ...faultVerdicts(result),
  ...(result.interrupted ? [{ ok: false, text: 'the run was interrupted' }] : []),
];

/** Whether nothing was found wrong; how the run was ended does not count. */
export const isWell = (result: RunResult): boolean => faultVerdicts(result).every(({ ok }) => ok);
