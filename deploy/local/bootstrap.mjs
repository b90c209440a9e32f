// Plain Node without dependencies: it runs before anything is installed.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root folder. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

const OLDEST_NODE = 20;
const NODES_OF_UWS = '20, 22, 24 or 25';
// The C library that the binaries of each ABI were linked against (ABI 115 is Node 20, 127 is 22, 137 is 24).
const GLIBC_OF_ABI = { 115: '2.36', 127: '2.38', 137: '2.38', 141: '2.38' };

/** A failure that is explained by its one line. */
export class SetupError extends Error {}

/** Prints a SetupError as its one line and ends the process; passes everything else on. */
export function failWith(error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(error.message);
  process.exit(1);
}

export function requireNode() {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < OLDEST_NODE)
    throw new SetupError(`Node ${process.versions.node} is too old: use Node ${NODES_OF_UWS} (20 or newer)`);
}

function readJson(...path) {
  try {
    return JSON.parse(readFileSync(join(root, ...path), 'utf8'));
  } catch {
    return undefined;
  }
}

// npm leaves a lock file of what it installed. Comparing it with ours, not dates, neither reinstalls after a checkout
// that changed nothing nor misses one that did. Packages for other systems are optional and rightly absent.
function isInstalled() {
  const wanted = readJson('package-lock.json')?.packages ?? {};
  const present = readJson('node_modules', '.package-lock.json')?.packages;
  if (present === undefined) return false;
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue;
    const found = present[path];
    if (found === undefined) {
      if (entry.optional !== true) return false;
    } else if (found.version !== entry.version || found.integrity !== entry.integrity) {
      return false;
    }
  }
  return Object.keys(present).every((path) => wanted[path] !== undefined);
}

function runQuietly(what, command, args, env = {}) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', env: { ...process.env, ...env } });
  if (result.status === 0) return;
  console.error(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  throw new SetupError(`${what} failed: ${result.error?.message ?? `exit ${result.status ?? result.signal}`}`);
}

/** Runs `npm ci` where the installed packages are not those of package-lock.json. */
export function ensureInstalled() {
  requireNode();
  if (isInstalled()) return;
  console.error('installing packages (npm ci)');
  runQuietly('npm ci', 'npm', ['ci', '--include=dev']);
}

/** Builds what is not up to date; `only` limits it to one package and those that it needs. */
export function ensureBuilt({ only } = {}) {
  const filter = only === undefined ? [] : [`--filter=${only}...`];
  runQuietly('the build', join(root, 'node_modules', '.bin', 'turbo'), ['run', 'build', ...filter], {
    TURBO_TELEMETRY_DISABLED: '1',
  });
}

function explainBinary(output) {
  const abi = process.versions.modules;
  const header = process.report?.getReport().header ?? {};
  const here = `Node ${process.versions.node} on ${process.platform} ${process.arch}`;
  if (process.platform === 'linux' && header.glibcVersionRuntime === undefined)
    return `uWebSockets.js has no binary for ${here} with musl: use a system with glibc, such as Debian or Ubuntu`;
  if (/GLIBC(XX)?_[\d.]+' not found/.test(output)) {
    const needed = /GLIBC_([\d.]+)' not found/.exec(output)?.[1] ?? GLIBC_OF_ABI[abi];
    return `uWebSockets.js for ${here} needs glibc ${needed}, this system has ${header.glibcVersionRuntime}: use Node 20`;
  }
  return `uWebSockets.js has no binary for ${here} (ABI ${abi}): use Node ${NODES_OF_UWS}`;
}

/** Throws a SetupError that names a Node that would do, where uWebSockets.js cannot be loaded. */
export function requireSocketBinary() {
  const resolve = createRequire(join(root, 'packages', 'gateway', 'package.json')).resolve;
  // In a process of its own: a binary for another system may crash rather than throw.
  const probe = spawnSync(process.execPath, ['-e', 'require(process.argv[1])', resolve('uWebSockets.js')], {
    encoding: 'utf8',
  });
  if (probe.status !== 0) throw new SetupError(explainBinary(probe.stderr));
}

/** Installs and builds what is missing, and checks that a gateway can run here. */
export function bootstrap({ only } = {}) {
  if (!existsSync(join(root, 'package-lock.json'))) throw new SetupError('package-lock.json is missing');
  ensureInstalled();
  requireSocketBinary();
  ensureBuilt({ only });
}
