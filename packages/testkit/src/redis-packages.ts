import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const TIMEOUT_MS = 240_000;

interface Flavour {
  readonly server: string;
  readonly tools: string;
}

const FLAVOURS: readonly Flavour[] = [
  { server: 'redis-server', tools: 'redis-tools' },
  { server: 'valkey-server', tools: 'valkey-tools' },
];

/** Whether this is a Debian or a relative of it, with the two tools that unpacking needs. */
export async function canUnpackPackages(): Promise<boolean> {
  try {
    await Promise.all([run('apt-get', ['--version']), run('dpkg', ['--version'])]);
    return true;
  } catch {
    return false;
  }
}

// One folder for each system: a checkout that several machines share holds binaries for one libc only.
async function systemName(): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const field = (name: string): string => new RegExp(`^${name}="?([\\w.]+)`, 'm').exec(release)?.[1] ?? 'unknown';
  return `${field('ID')}-${field('VERSION_ID')}-${process.arch}`;
}

// The lists of the system may be missing or name files that are gone. These are private ones: no root, and nothing on
// the system changes. The hooks are cleared since they would run with our rights on the system's own files.
async function refreshLists(work: string): Promise<string[]> {
  const lists = join(work, 'lists');
  const cache = join(work, 'apt-cache');
  const config = join(work, 'apt.conf');
  await mkdir(join(lists, 'partial'), { recursive: true });
  await mkdir(join(cache, 'archives', 'partial'), { recursive: true });
  const hooks = ['APT::Update::Pre-Invoke', 'APT::Update::Post-Invoke', 'APT::Update::Post-Invoke-Success'];
  await writeFile(config, hooks.map((hook) => `#clear ${hook};\n`).join(''));
  const options = ['-c', config, '-o', `Dir::State::lists=${lists}`, '-o', `Dir::Cache=${cache}`, '-o'];
  options.push('APT::Sandbox::User=');
  await run('apt-get', [...options, 'update'], { timeout: TIMEOUT_MS });
  return options;
}

type Download = (names: readonly string[]) => Promise<void>;

function downloader(work: string): Download {
  let options: string[] = [];
  let refreshed = false;
  const fetchInto = (names: readonly string[]): Promise<unknown> =>
    run('apt-get', [...options, 'download', ...names], { cwd: work, timeout: TIMEOUT_MS });
  return async (names) => {
    try {
      await fetchInto(names);
    } catch (error) {
      if (refreshed) throw error;
      refreshed = true;
      options = await refreshLists(work);
      await fetchInto(names);
    }
  };
}

// Unpacks every package that lies in `work` into `root` and deletes it; gives the names that they depend on.
async function unpack(work: string, root: string): Promise<string[]> {
  const needs: string[] = [];
  for (const name of await readdir(work)) {
    if (!name.endsWith('.deb')) continue;
    const file = join(work, name);
    await run('dpkg', ['-x', file, root]);
    const { stdout } = await run('dpkg-deb', ['-f', file, 'Depends']);
    for (const need of stdout.split(',')) needs.push((need.split('|')[0] ?? '').trim().replace(/[\s:(].*$/s, ''));
    await rm(file);
  }
  return needs;
}

async function isInstalled(name: string): Promise<boolean> {
  const { stdout } = await run('dpkg-query', ['-s', name]).catch(() => ({ stdout: '' }));
  return stdout.includes('Status: install ok installed');
}

// Libraries that the system has are used from there; what is missing comes with its own missing libraries.
async function addLibraries(needs: readonly string[], work: string, root: string, download: Download): Promise<void> {
  const known = new Set<string>();
  let open = needs;
  while (open.length > 0) {
    const missing: string[] = [];
    for (const name of new Set(open)) {
      if (known.has(name) || !/^(lib|lua)/.test(name)) continue;
      known.add(name);
      if (!(await isInstalled(name))) missing.push(name);
    }
    if (missing.length === 0) return;
    await download(missing);
    open = await unpack(work, root);
  }
}

async function libraryFolders(root: string): Promise<string[]> {
  const found = new Set<string>();
  for (const entry of await readdir(root, { recursive: true })) {
    if (/\.so(\.\d+)*$/.test(entry)) found.add(dirname(entry));
  }
  return [...found];
}

// The server's package holds a link to an executable of the tools' package that looks at the name it is called by.
// `exec` keeps the process id, so signals reach the server itself.
async function writeWrapper(folder: string, flavour: Flavour): Promise<string> {
  const root = join(folder, 'root');
  const libraries = (await libraryFolders(root)).map((path) => `$here/root/${path}`).join(':');
  const wrapper = join(folder, 'redis-server');
  const lines = [
    '#!/bin/sh',
    'here=$(cd "$(dirname "$0")" && pwd)',
    libraries === '' ? '' : `export LD_LIBRARY_PATH="${libraries}\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"`,
    `exec "$here/root/usr/bin/${flavour.server}" "$@"`,
    '',
  ];
  await writeFile(wrapper, lines.join('\n'));
  await chmod(wrapper, 0o755);
  return wrapper;
}

async function build(folder: string, flavour: Flavour): Promise<void> {
  const work = join(folder, 'work');
  const root = join(folder, 'root');
  await mkdir(work, { recursive: true });
  await mkdir(root, { recursive: true });
  const download = downloader(work);
  await download([flavour.server, flavour.tools]);
  const needs = await unpack(work, root);
  await addLibraries(needs, work, root, download);
  await run(await writeWrapper(folder, flavour), ['--version']);
  await rm(work, { recursive: true, force: true });
}

/**
 * A redis-server (or valkey-server) out of the distribution's packages, unpacked under `cacheFolder` and nowhere else;
 * nothing is installed. Gives the path of a script that starts it. Any number of processes may call this at once:
 * each builds aside and renames into place, the first one wins.
 */
export async function unpackRedis(cacheFolder: string): Promise<string> {
  const home = join(cacheFolder, await systemName());
  const wrapper = join(home, 'redis-server');
  if (existsSync(wrapper)) return wrapper;
  await mkdir(cacheFolder, { recursive: true });
  const failures: unknown[] = [];
  for (const flavour of FLAVOURS) {
    const aside = await mkdtemp(`${home}.unpacking-`);
    try {
      await build(aside, flavour);
      // mkdtemp makes it for its owner only; a checkout may be used by several users.
      await chmod(aside, 0o755);
      await rename(aside, home).catch((error: unknown) => {
        if (!existsSync(wrapper)) throw error;
      });
      return wrapper;
    } catch (error) {
      failures.push(error);
    } finally {
      await rm(aside, { recursive: true, force: true });
    }
  }
  throw failures[0];
}
