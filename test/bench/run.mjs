// Measures the gateway against a bare server and its peers in one run, interleaved, and writes the table of the README: README.md.
import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root } from '../../deploy/local/bootstrap.mjs';
import { readOptions, USAGE } from './options.mjs';
import { keepResults, readResults } from './results.mjs';

const options = (() => {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${error.message}\n${USAGE}`);
    process.exit(2);
  }
})();

ensureInstalled();
ensureBuilt();
// What they import is built first.
const [{ contendersFor }, { SCENARIOS }, { outcomeOf, runScenario }, { aimsOf, tableOf, writeTable }] =
  await Promise.all([
    import('./contenders/all.mjs'),
    import('./scenarios/all.mjs'),
    import('./rounds.mjs'),
    import('./table.mjs'),
  ]);

const unknown = options.only?.filter((name) => !SCENARIOS.some((scenario) => scenario.name === name)) ?? [];
if (unknown.length > 0) {
  console.error(`no scenario ${unknown.join(', ')}: there are ${SCENARIOS.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}
const chosen = SCENARIOS.filter(({ name }) => options.only?.includes(name) ?? true);
const contenders = contendersFor(chosen, options.peers);

const shown = [];
for (const scenario of chosen) {
  const measured = { options, node: process.versions.node, rounds: await runScenario(scenario, contenders, options) };
  keepResults(scenario.name, measured);
  shown.push(outcomeOf(scenario, measured));
}
console.log(`\n${tableOf(shown)}\n\n${aimsOf(shown).join('\n')}`);

if (options.write) {
  // Rows of what was not run now are those of its last run.
  const results = readResults();
  const missing = SCENARIOS.filter(({ name }) => results[name] === undefined).map(({ name }) => name);
  if (missing.length > 0) {
    console.error(`nothing is written, the table would lose rows: run --only ${missing.join(',')} too`);
    process.exit(1);
  }
  const all = SCENARIOS.map((scenario) => outcomeOf(scenario, results[scenario.name]));
  writeTable(join(root, 'README.md'), tableOf(all));
}
process.exit(0);
