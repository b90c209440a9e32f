// `npm test`: every test but those in a browser, with what they need made ready first. Arguments are passed on to vitest.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bootstrap, failWith, root } from '../deploy/local/bootstrap.mjs';

const args = process.argv.slice(2);
const projects = args.flatMap((arg, at) =>
  arg === '--project' ? [args[at + 1]] : arg.startsWith('--project=') ? [arg.slice(10)] : [],
);
// A browser is not everywhere: what needs one is run by name only, by `npm run test:browser`.
const selection = projects.length === 0 ? ['--project=!browser'] : [];

function finish({ passed, failed, skipped }) {
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}

// Found once here and handed on, so that no test worker has to search or unpack.
async function redisEnvironment() {
  if (projects.length > 0 && projects.every((name) => name === 'unit')) return {};
  const { describeRedis, findRedis } = await import('../packages/testkit/dist/index.js');
  const source = await findRedis();
  console.log(`redis: ${await describeRedis(source)}`);
  return source.kind === 'executable' ? { TEST_REDIS_SERVER: source.path } : {};
}

// A file that fails to load, an error outside of any test and a runner that dies count as failures of their own.
function tally(file, exitCode) {
  let report;
  try {
    report = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const brokenFiles = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  );
  const failed = report.numFailedTests + brokenFiles.length;
  return {
    passed: report.numPassedTests,
    failed: failed === 0 && exitCode !== 0 ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

async function runVitest(env) {
  const folder = join(root, '.cache', 'test');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `results-${process.pid}.json`);
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  const child = spawn(
    process.execPath,
    [vitest, 'run', '--config', join(root, 'test', 'vitest.config.ts'), ...reporters, ...selection, ...args],
    { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } },
  );
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  const [exitCode] = await once(child, 'exit');
  const result = tally(file, exitCode);
  rmSync(file, { force: true });
  return result;
}

try {
  bootstrap();
} catch (error) {
  failWith(error);
}
try {
  finish(await runVitest(await redisEnvironment()));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  finish({ passed: 0, failed: 1, skipped: 0 });
}
