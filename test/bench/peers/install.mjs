import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from '../../../deploy/local/bootstrap.mjs';

const FILES = ['package.json', 'package-lock.json', 'server.mjs'];
const INSTALL_MS = 300_000;

const textOf = (path) => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
};

/**
 * Installs a peer, pinned by its own lock file, into the project's cache: it is no dependency of the project. Returns the folder, or
 * says in one line why there is none.
 */
export const installPeer = (name) => {
  const from = fileURLToPath(new URL(`${name}/`, import.meta.url));
  const folder = join(root, '.cache', 'bench', name);
  mkdirSync(folder, { recursive: true });
  const done = join(folder, 'node_modules', '.package-lock.json');
  const isCurrent =
    textOf(done) !== undefined && textOf(join(from, 'package-lock.json')) === textOf(join(folder, 'package-lock.json'));
  for (const file of FILES) copyFileSync(join(from, file), join(folder, file));
  if (isCurrent) return { folder };
  console.log(`installing ${name} into ${folder.slice(root.length)} (npm ci)`);
  // Soketi's tree has scripts for drivers of databases that it does not use here.
  const { status, stderr, error } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], {
    cwd: folder,
    encoding: 'utf8',
    timeout: INSTALL_MS,
  });
  if (status === 0) return { folder };
  const lines = (stderr ?? '').split('\n').filter((line) => /^npm (ERR!|error)/i.test(line));
  return { why: error?.message ?? lines[0] ?? `npm ci ended with ${status}` };
};
