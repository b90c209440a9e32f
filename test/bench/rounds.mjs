/** By how much the control may differ. */
export const TOLERANCE = 0.1;
const SATURATED = 0.9;

export const median = (numbers) => {
  const sorted = numbers.filter((number) => number !== undefined).sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

const shown = (result) =>
  Object.entries(result)
    .map(([field, value]) => `${field} ${Math.round(value * 100) / 100}`)
    .join(', ');

/** By how much the second copy of the bare server differs from the first in what the scenario measures. */
const offBy = (scenario, { bare, control }) =>
  control === undefined ? 0 : Math.max(...scenario.steady.map((field) => Math.abs(control[field] / bare[field] - 1)));

const oneRound = async (scenario, contenders, options, label) => {
  const results = {};
  for (const key of scenario.contenders) {
    const contender = contenders[key];
    if (contender === undefined) continue;
    results[key] = await scenario.round(contender, options);
    const { driverCpu = 0 } = results[key];
    const note = driverCpu > SATURATED ? '; the driver is saturated: what it saw of latency is its own' : '';
    console.log(`${label} ${key.padEnd(9)} ${shown(results[key])}${note}`);
  }
  return results;
};

/**
 * Paired rounds, each with every contender in turn. A round whose control is off is repeated, twice as many as wanted at most; then the
 * least wrong ones count, and the table says so. Resolves the results of the rounds that count, by contender.
 */
export const runScenario = async (scenario, contenders, options) => {
  const good = [];
  const off = [];
  for (let attempt = 1; good.length < options.rounds && attempt <= options.rounds * 2; attempt += 1) {
    const label = `${scenario.name} ${good.length + 1}/${options.rounds}`;
    const results = await oneRound(scenario, contenders, options, label);
    const distance = offBy(scenario, results);
    if (distance <= TOLERANCE) good.push({ results, distance });
    else {
      off.push({ results, distance });
      console.log(`${label} the control is off by ${Math.round(distance * 100)} %: the round is repeated`);
    }
  }
  off.sort((a, b) => a.distance - b.distance);
  return [...good, ...off.slice(0, options.rounds - good.length)].map(({ results }) => results);
};

/** What the rounds of a scenario say, with the options that they were run with. */
export const outcomeOf = (scenario, { rounds, options, node }) => ({
  scenario,
  options,
  node,
  rounds: rounds.length,
  unsteady: rounds.filter((results) => offBy(scenario, results) > TOLERANCE).length,
  /** Keys of those whose driver was saturated in some round. */
  saturated: scenario.contenders.filter((key) => rounds.some((results) => (results[key]?.driverCpu ?? 0) > SATURATED)),
  median: (key, field) => median(rounds.map((results) => results[key]?.[field])),
});
