// Measures the gateway against a bare server and its peers in one run, interleaved, and writes the table of the README: README.md.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root } from '../../deploy/local/bootstrap.mjs';
import { readOptions, USAGE } from './options.mjs';

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
const [{ contendersFor }, { SCENARIOS }, { runScenario }, { aimsOf, tableOf, writeTable }] = await Promise.all([
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

const outcomes = [];
for (const scenario of chosen) outcomes.push(await runScenario(scenario, contenders, options));

const table = tableOf(outcomes, options);
console.log(`\n${table}\n\n${aimsOf(outcomes, options).join('\n')}`);
const folder = join(root, '.cache', 'bench');
mkdirSync(folder, { recursive: true });
const raw = outcomes.map(({ scenario, rounds, repeated }) => ({ scenario: scenario.name, repeated, rounds }));
writeFileSync(join(folder, 'results.json'), `${JSON.stringify({ options, outcomes: raw }, null, 2)}\n`);
if (options.write) writeTable(join(root, 'README.md'), table);
process.exit(0);
