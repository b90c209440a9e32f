import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// The guard is a small shell in a session of its own. It learns what this process has started through a pipe and acts
// when the pipe closes, so it covers every way to die, SIGKILL of a test worker among them, and needs no signal handlers
// here. `read` runs out exactly when this process is gone: Node opens its pipes close-on-exec, no other child holds one.
const GUARD = `
trap '' INT TERM HUP
pids=' '
boxes=' '
without() { for each in $1; do [ "$each" = "$2" ] || printf '%s ' "$each"; done; }
while read -r verb what; do
  case $verb in
    pid) pids="$pids$what " ;;
    pid-gone) pids=" $(without "$pids" "$what")" ;;
    container) boxes="$boxes$what " ;;
    container-gone) boxes=" $(without "$boxes" "$what")" ;;
  esac
done
for pid in $pids; do kill -9 -- "-$pid" 2>/dev/null; kill -9 "$pid" 2>/dev/null; done
for box in $boxes; do docker rm -f "$box" >/dev/null 2>&1; done
rm -rf "$1"
`;

let guard: ChildProcess | undefined;
let root: string | undefined;
let serial = 0;
const alive = new Set<ChildProcess>();

// The guard does the same a moment later; this way nothing outlives an orderly exit even for that moment.
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
  if (root !== undefined) rmSync(root, { recursive: true, force: true });
});

function tell(line: string): void {
  if (guard === undefined) {
    guard = spawn('/bin/sh', ['-c', GUARD, 'guard', scratchRoot()], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    guard.unref();
    guard.stdin?.on('error', () => {});
    (guard.stdin as unknown as { unref(): void }).unref();
  }
  guard.stdin?.write(`${line}\n`);
}

function scratchRoot(): string {
  root ??= mkdtempSync(join(tmpdir(), 'replyx-test-'));
  return root;
}

/** A path for a scratch folder that is removed when this process ends, however it ends. The folder is not created. */
export function scratchPath(name: string): string {
  const path = join(scratchRoot(), `${name}-${++serial}`);
  tell('scratch');
  return path;
}

/** Kills the process (and its group, where it leads one) when this process ends, however it ends. */
export function guardProcess(child: ChildProcess): void {
  const pid = child.pid;
  if (pid === undefined) return;
  tell(`pid ${pid}`);
  alive.add(child);
  child.once('exit', () => {
    alive.delete(child);
    tell(`pid-gone ${pid}`);
  });
}

/** Removes the container when this process ends; the returned function says that it is gone already. */
export function guardContainer(id: string): () => void {
  tell(`container ${id}`);
  return () => tell(`container-gone ${id}`);
}
