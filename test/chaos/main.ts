import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FAULT_KINDS, type FaultKind } from './plan.js';
import { breachesOf, isHeld, summaryOf } from './report.js';
import { runChaos } from './run.js';

const USAGE = `Usage: npm run chaos -- [--minutes 1] [--rounds n] [--seed n] [--dialogs 8] [--clients 40] [--rate 80] [--faults a,b]

Breaks a cluster of three nodes on one Redis, round by round as the seed says, and judges what clients and backend saw.
Equal seeds and faults give equal rounds; --rounds repeats a run that ended early. The journal stays in .cache/chaos.

Faults: ${FAULT_KINDS.join(', ')}
Exit code: 0 every promise held, 1 one was broken, 2 usage.
`;

class Usage extends Error {}

const number = (name: string, text: string): number => {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new Usage(`--${name} ${text} is no number`);
  return value;
};

const faultsOf = (text: string | undefined): readonly FaultKind[] => {
  if (text === undefined) return FAULT_KINDS;
  return text.split(',').map((name) => {
    const kind = FAULT_KINDS.find((each) => each === name);
    if (kind === undefined) throw new Usage(`${name} is no fault`);
    return kind;
  });
};

const options = {
  minutes: { type: 'string', default: '1' },
  rounds: { type: 'string' },
  seed: { type: 'string' },
  dialogs: { type: 'string', default: '8' },
  clients: { type: 'string', default: '40' },
  rate: { type: 'string', default: '80' },
  faults: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

const plannedRun = async (args: readonly string[], folder: string): Promise<number> => {
  const { values } = parseArgs({ args: [...args], options });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const kinds = faultsOf(values.faults);
  const seed = values.seed === undefined ? Math.floor(Math.random() * 0x1_0000_0000) : number('seed', values.seed);
  const dialogs = Math.max(1, number('dialogs', values.dialogs));
  const shape = {
    dialogs,
    clientsPerDialog: Math.max(1, Math.round(number('clients', values.clients) / dialogs)),
    perSecond: number('rate', values.rate),
  };
  const end =
    values.rounds === undefined
      ? { forMs: number('minutes', values.minutes) * 60_000 }
      : { rounds: number('rounds', values.rounds) };
  console.log(`seed ${seed}`);
  const journalPath = join(folder, `seed-${seed}.jsonl`);
  const outcome = await runChaos({ seed, ...shape, ...end, kinds, journalPath, log: (line) => console.log(line) });
  const [worst] = outcome.recoveries;
  console.log('');
  for (const line of summaryOf(outcome)) console.log(line);
  console.log(`worst recovery: ${worst === undefined ? 'none measured' : `${worst.ms} ms after ${worst.faults}`}`);
  if (isHeld(outcome)) {
    console.log(`every promise held over ${outcome.rounds} rounds of seed ${seed}`);
    return 0;
  }
  console.log('');
  for (const line of await breachesOf(outcome)) console.log(line);
  const faults = values.faults === undefined ? '' : ` --faults ${values.faults}`;
  const load = `--dialogs ${values.dialogs} --clients ${values.clients} --rate ${values.rate}`;
  console.log(`\nrepeat: npm run chaos -- --seed ${seed} --rounds ${outcome.rounds} ${load}${faults}`);
  console.log(`journal: ${journalPath}`);
  return 1;
};

/** `folder`: where journals are kept. Resolves to the exit code. */
export const main = async (args: readonly string[], folder: string): Promise<number> => {
  try {
    return await plannedRun(args, folder);
  } catch (error) {
    if (!(error instanceof Usage) && !(error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS')) throw error;
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
};
