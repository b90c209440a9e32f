import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { guardProcess } from '@replyx/testkit';

/** A server whose first line of output is a JSON object with its port. */
export const startServer = async (script, args) => {
  const child = spawn(process.execPath, [script, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_ENV: 'production' },
  });
  guardProcess(child);
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([once(lines, 'line'), once(child, 'exit')]);
  if (typeof line !== 'string') throw new Error(`${script} ended before it listened`);
  return { pid: child.pid, port: JSON.parse(line).port, stop: () => child.kill('SIGKILL') };
};
