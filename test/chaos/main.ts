import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FAULT_KINDS, type FaultKind } from './plan.js';
import { breachesOf, isHeld, summaryOf } from './report.js';
import { runChaos } from './run.js';
import { SCENARIOS } from './scenarios/index.js';
import type { ScenarioOptions } from './scenarios/scenario.js';
import type { Outcome } from './stage.js';

const USAGE = `Usage: npm run chaos -- [--minutes 1] [--rounds n] [--seed n] [--dialogs 8] [--clients 40] [--rate 80] [--faults a,b]
       npm run chaos -- --scenario name [--clients n] [--hold seconds] [--seed n]

Breaks a cluster of three nodes on one Redis, round by round as the seed says, and judges what clients and backend saw.
Equal seeds and faults give equal rounds; --rounds repeats a run that ended early. A scenario is one fault, looked at
closely. The journal stays in .cache/chaos.

Faults: ${FAULT_KINDS.join(', ')}
Scenarios: ${Object.keys(SCENARIOS).join(', ')}, all
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
  clients: { type: 'string' },
  rate: { type: 'string', default: '80' },
  faults: { type: 'string' },
  scenario: { type: 'string' },
  hold: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

const parse = (args: readonly string[]) => parseArgs({ args: [...args], options }).values;
type Values = ReturnType<typeof parse>;

/** Prints the verdict and, where a promise was broken, its story and how to repeat the run. */
const conclude = async (outcome: Outcome, repeat: string): Promise<number> => {
  for (const line of summaryOf(outcome)) console.log(line);
  if (isHeld(outcome)) {
    console.log(`every promise held: seed ${outcome.seed}`);
    return 0;
  }
  console.log('');
  for (const line of await breachesOf(outcome)) console.log(line);
  console.log(`\nrepeat: npm run chaos -- --seed ${outcome.seed} ${repeat}\njournal: ${outcome.journalPath}`);
  return 1;
};

const plannedRun = async (values: Values, seed: number, folder: string): Promise<number> => {
  const { clients = '40', dialogs, rate, faults } = values;
  const count = Math.max(1, number('dialogs', dialogs));
  const shape = {
    dialogs: count,
    clientsPerDialog: Math.max(1, Math.round(number('clients', clients) / count)),
    perSecond: number('rate', rate),
    kinds: faultsOf(faults),
  };
  const end =
    values.rounds === undefined
      ? { forMs: number('minutes', values.minutes) * 60_000 }
      : { rounds: number('rounds', values.rounds) };
  const journalPath = join(folder, `seed-${seed}.jsonl`);
  const outcome = await runChaos({ seed, ...shape, ...end, journalPath, log: (line) => console.log(line) });
  const [worst] = outcome.recoveries;
  console.log(`\n${outcome.rounds} rounds`);
  console.log(`worst recovery: ${worst === undefined ? 'none measured' : `${worst.ms} ms after ${worst.faults}`}`);
  const chosen = faults === undefined ? '' : ` --faults ${faults}`;
  return conclude(
    outcome,
    `--rounds ${outcome.rounds} --dialogs ${dialogs} --clients ${clients} --rate ${rate}${chosen}`,
  );
};

const scenarioRun = async (name: string, values: Values, seed: number, folder: string): Promise<number> => {
  const scenario = SCENARIOS[name];
  if (scenario === undefined) throw new Usage(`${name} is no scenario`);
  console.log(`\n${name}`);
  const chosen: ScenarioOptions = {
    seed,
    journalPath: join(folder, `${name}-${seed}.jsonl`),
    ...(values.clients === undefined ? {} : { clients: number('clients', values.clients) }),
    ...(values.hold === undefined ? {} : { holdMs: number('hold', values.hold) * 1_000 }),
  };
  const outcome = await scenario(chosen);
  for (const line of outcome.measures) console.log(line);
  return conclude(outcome, `--scenario ${name}${values.clients === undefined ? '' : ` --clients ${values.clients}`}`);
};

/** `folder`: where journals are kept. Resolves to the exit code. */
export const main = async (args: readonly string[], folder: string): Promise<number> => {
  try {
    const values = parse(args);
    if (values.help) {
      console.log(USAGE);
      return 0;
    }
    const seed = values.seed === undefined ? Math.floor(Math.random() * 0x1_0000_0000) : number('seed', values.seed);
    console.log(`seed ${seed}`);
    if (values.scenario === undefined) return await plannedRun(values, seed, folder);
    let worst = 0;
    for (const name of values.scenario === 'all' ? Object.keys(SCENARIOS) : [values.scenario])
      worst = Math.max(worst, await scenarioRun(name, values, seed, folder));
    return worst;
  } catch (error) {
    if (!(error instanceof Usage) && !(error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS')) throw error;
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
};
