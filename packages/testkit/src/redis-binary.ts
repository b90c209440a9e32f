import { execFile } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { canUnpackPackages, unpackRedis } from './redis-packages.js';

const run = promisify(execFile);
const IMAGE = 'redis:7-alpine';
const ADVICE =
  'no redis-server: install one (or valkey-server), name it in TEST_REDIS_SERVER, start Docker, or use Debian or Ubuntu';

/** Where the tests' Redis comes from: an executable, or an image for Docker. */
export type RedisSource =
  | { readonly kind: 'executable'; readonly path: string; readonly from: 'environment' | 'path' | 'packages' }
  | { readonly kind: 'image'; readonly image: string };

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function onPath(name: string, path: string): string | undefined {
  for (const folder of path.split(delimiter)) {
    if (folder !== '' && isExecutable(join(folder, name))) return join(folder, name);
  }
  return undefined;
}

// An engine that answers but can neither show nor fetch the image is no use: the next source is tried.
async function hasImage(env: NodeJS.ProcessEnv): Promise<boolean> {
  const docker = async (timeout: number, ...args: string[]): Promise<boolean> => {
    try {
      await run('docker', args, { timeout, env });
      return true;
    } catch {
      return false;
    }
  };
  if (!(await docker(3_000, 'info'))) return false;
  return (await docker(5_000, 'image', 'inspect', IMAGE)) || (await docker(120_000, 'pull', '--quiet', IMAGE));
}

async function search(env: NodeJS.ProcessEnv): Promise<RedisSource> {
  const named = env['TEST_REDIS_SERVER'];
  if (named !== undefined && named !== '') {
    if (isExecutable(named)) return { kind: 'executable', path: named, from: 'environment' };
    throw new Error(`TEST_REDIS_SERVER names ${named}, which is no executable file`);
  }
  const path = env['PATH'] ?? '';
  const installed = onPath('redis-server', path) ?? onPath('valkey-server', path);
  if (installed !== undefined) return { kind: 'executable', path: installed, from: 'path' };
  if (await hasImage(env)) return { kind: 'image', image: IMAGE };
  if (!(await canUnpackPackages())) throw new Error(ADVICE);
  // From src and from dist alike, the repository is three folders up.
  const cache = fileURLToPath(new URL('../../../.cache/redis', import.meta.url));
  try {
    return { kind: 'executable', path: await unpackRedis(cache), from: 'packages' };
  } catch (error) {
    const why = String((error as { stderr?: string }).stderr || (error as Error).message);
    const line = why.split('\n').find((text) => text.startsWith('E:')) ?? why.trim().split('\n')[0];
    throw new Error(`${ADVICE} (unpacking the packages failed: ${line})`, { cause: error });
  }
}

let found: Promise<RedisSource> | undefined;

/**
 * Finds a Redis for tests, once per process: `TEST_REDIS_SERVER`, else redis-server or valkey-server on the PATH, else
 * Docker, else the packages of Debian or Ubuntu, unpacked into the project's cache. Rejects with one line that names
 * what to do.
 */
export function findRedis(env: NodeJS.ProcessEnv = process.env): Promise<RedisSource> {
  if (env !== process.env) return search(env);
  found ??= search(env);
  return found;
}

/** One line that says which Redis the tests use and where it comes from. */
export async function describeRedis(source: RedisSource): Promise<string> {
  if (source.kind === 'image') return `${source.image} in Docker`;
  const { stdout } = await run(source.path, ['--version']);
  return `${stdout.trim().split(' sha=')[0]}, ${source.path} (${source.from})`;
}
