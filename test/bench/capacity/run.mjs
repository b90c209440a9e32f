// Measures what things cost and writes them where the calculator and its page read them: README.md.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root } from '../../../deploy/local/bootstrap.mjs';

const FILE = 'packages/loadtest/src/plan/measured-costs.ts';

const args = process.argv.slice(2);
if (args.some((arg) => arg !== '--write')) {
  console.error('npm run bench:capacity -- [--write]');
  process.exit(2);
}
ensureInstalled();
ensureBuilt();
// What they import is built first.
const [{ messageCosts }, { connectionCosts }, { idleCosts }, { redisMemoryCosts }, { measureLoads }] =
  await Promise.all([
    import('./messages.mjs'),
    import('./connections.mjs'),
    import('./idle.mjs'),
    import('./redis-memory.mjs'),
    import('./check.mjs'),
  ]);

const step = async (name, measure) => {
  const startedMs = performance.now();
  const result = await measure();
  console.log(`${name}, ${Math.round((performance.now() - startedMs) / 1000)} s: ${JSON.stringify(result)}`);
  return result;
};

const { costs: ofMessages, messages } = await step('messages', messageCosts);
const ofConnections = await step('connections', connectionCosts);
const { costs: ofIdle, idle } = await step('idle', idleCosts);
const { written, ...ofRedis } = await step('Redis memory', redisMemoryCosts);
const loads = await step('loads', measureLoads);

/** Three digits say all that a measurement knows. */
const rounded = (value) => {
  if (typeof value === 'number') return Number(value.toPrecision(3));
  if (Array.isArray(value)) return value.map(rounded);
  if (typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, rounded(v)]));
  return value;
};
// A difference of two measurements may come out below nothing.
const costs = Object.fromEntries(
  Object.entries({ ...ofMessages, ...ofConnections, ...ofIdle, ...ofRedis }).map(([name, value]) => [
    name,
    Math.max(0, rounded(value)),
  ]),
);
const counts = new Set(['nodes', 'sockets', 'dialogs', 'rate', 'connections']);
const kept = (rows) =>
  rows.map((row) => Object.fromEntries(Object.entries(row).map(([k, v]) => [k, counts.has(k) ? v : rounded(v)])));
const measured = {
  machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Node ${process.versions.node}`,
  costs,
  messages: kept(messages),
  idle: kept(idle),
  written: rounded(written),
  loads: kept(loads),
};
console.log(JSON.stringify(measured, undefined, 2));

if (args.includes('--write')) {
  const text = `// Written by npm run bench:capacity -- --write. Not by hand.\nexport const MEASURED = ${JSON.stringify(measured)} as const;\n`;
  writeFileSync(join(root, FILE), text);
  const npx = (...command) => execFileSync('npx', command, { cwd: root, stdio: 'inherit' });
  npx('biome', 'format', '--write', FILE);
  npx('tsc', '-b', 'packages/loadtest');
  execFileSync(process.execPath, ['packages/loadtest/scripts/write-docs.mjs'], { cwd: root, stdio: 'inherit' });
}
process.exit(0);
