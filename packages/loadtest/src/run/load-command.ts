import { judge } from '../assertion.js';
import { CommandFailure, type CommandIo } from '../command.js';
import { internalApi } from '../internal-api.js';
import { isScenario, SCENARIOS, type Scenario } from '../load-plan.js';
import { htmlReport } from '../report/html-report.js';
import { printable } from '../report/printable.js';
import { Progress } from '../report/progress.js';
import { summaryText } from '../report/summary-text.js';
import { isWell } from '../report/verdict.js';
import { makeDialogs, removeDialogs } from './dialog-setup.js';
import { optionHelp } from './options.js';
import { type LoadRequest, readLoad } from './read-load.js';
import { runLoad } from './run-load.js';
import type { RunResult } from './run-result.js';

export const loadHelp = (scenario: Scenario): string => `Usage: replyx-load ${scenario} --url <ws://host:port> [options]

${SCENARIOS[scenario][0]?.toUpperCase()}${SCENARIOS[scenario].slice(1)}.

${optionHelp()}

Exit code: 0 done, all is well and every --assert holds; 1 a verdict is not well (what is lost, refused, away, a step that failed, an attempt
that was not refused) or an --assert does not hold, or the load could not be run; 2 usage; 130 interrupted.
`;

const INTERRUPTED = 130;

/** A file of the results, where one was asked for. */
interface Output {
  readonly option: '--json' | '--html';
  readonly path: string | undefined;
  readonly text: (result: RunResult) => string;
}

const outputsOf = ({ json, html }: LoadRequest): Output[] => [
  { option: '--json', path: json, text: (result) => `${JSON.stringify(result, undefined, 1)}\n` },
  { option: '--html', path: html, text: htmlReport },
];

/** Does the work for each file that was asked for, whatever becomes of the other; then throws for the first that failed. */
const forEachOutput = (outputs: readonly Output[], work: (path: string, output: Output) => void): void => {
  const failed = outputs.filter((output) => {
    try {
      if (output.path !== undefined) work(output.path, output);
      return false;
    } catch {
      return true;
    }
  });
  const [first] = failed;
  if (first !== undefined) {
    throw new CommandFailure(`the file ${JSON.stringify(first.path)} of ${first.option} can't be written`);
  }
};

/** Runs a scenario and resolves the exit code. */
export const loadCommand = async (name: string, args: readonly string[], io: CommandIo): Promise<number> => {
  if (!isScenario(name)) throw new TypeError('not a scenario');
  const request = await readLoad(name, args, io);
  const { run, internalUrls, apiKey, ownAssistant, assertions } = request;
  const { plan } = run;
  const outputs = outputsOf(request);
  // Now, not after hours of load.
  forEachOutput(outputs, io.checkWritable);
  const progress = new Progress(request.quietly ? () => {} : (text) => io.err(text), io.isTerminal && !request.quietly);
  const api =
    internalUrls.length > 0 && apiKey !== undefined && plan.tokens === undefined
      ? internalApi(internalUrls, apiKey)
      : undefined;

  // Not progress: --quietly does not silence it.
  for (const warning of request.warnings) io.err(`replyx-load: ${printable(warning)}\n`);
  let stop: () => void = () => {};
  let signals = 0;
  const onSignal = (): void => {
    signals += 1;
    if (signals > 1) process.exit(INTERRUPTED);
    progress.note('stopping (once more to give up at once)');
    stop();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  let result: RunResult;
  try {
    progress.note(`${plan.scenario}: ${printable(run.title)}; ${plan.drivers} driver${plan.drivers === 1 ? '' : 's'}`);
    if (api !== undefined) await makeDialogs(api, plan);
    try {
      result = await runLoad(run, {
        onPhase: (what) => progress.phase(what),
        onStep: (view) => progress.show(view),
        onRolling: ({ what, result: ended }) => progress.note(`step: ${printable(what)}: ${ended}`),
        onStoppable: (ends) => {
          stop = ends;
          if (signals > 0) ends();
        },
      });
    } finally {
      progress.end();
      if (api !== undefined && !request.keep) {
        const left = await removeDialogs(api, plan, ownAssistant);
        if (left > 0) progress.note(`${left} dialogs of the run could not be removed`);
      }
    }
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
    api?.close();
  }

  const judged: RunResult = { ...result, assertions: judge(assertions, result.measures) };
  io.out(summaryText(judged));
  forEachOutput(outputs, (path, { text }) => io.writeFile(path, text(judged)));
  if (judged.assertions.some(({ ok }) => !ok)) return 1;
  // What was cut short is not whole either, by our own doing.
  if (judged.interrupted) return INTERRUPTED;
  return isWell(judged) || request.tolerateFaults ? 0 : 1;
};
