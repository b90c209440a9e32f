// `npm run test:browser`: finds a Chromium, on Debian installs one, and runs what needs it. Arguments are passed on to vitest.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

const isExecutable = (path) => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

const onPath = () =>
  (process.env.PATH ?? '')
    .split(delimiter)
    .flatMap((folder) => NAMES.map((name) => join(folder, name)))
    .find(isExecutable);

const install = () => {
  if (!existsSync('/etc/debian_version') || process.getuid?.() !== 0) return undefined;
  console.log('installing chromium (apt-get)');
  const apt = (...args) =>
    spawnSync('apt-get', [...args, '-qq'], { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } });
  const packages = ['install', '-y', '--no-install-recommends', 'chromium'];
  if (apt(...packages).status !== 0) {
    // The lists of a fresh system are empty.
    apt('update');
    apt(...packages);
  }
  return onPath();
};

const fail = (line) => {
  console.error(line);
  process.exit(1);
};

const find = (env) => {
  const named = env.TEST_CHROMIUM;
  if (named === undefined) {
    return onPath() ?? install() ?? fail('no Chromium: install one, name it in TEST_CHROMIUM, or use Debian as root');
  }
  return isExecutable(named) ? named : fail(`TEST_CHROMIUM names ${named}, which is no executable file`);
};

const chromium = find(process.env);
console.log(`browser: ${chromium}`);
const runner = fileURLToPath(new URL('../run.mjs', import.meta.url));
const { status } = spawnSync(process.execPath, [runner, '--project=browser', ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: { ...process.env, TEST_CHROMIUM: chromium },
});
process.exitCode = status ?? 1;
