import { fork } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { CommandFailure } from '../commands/command.js';
import { type LocalEnvironment, type LocalNode, type NodePlan, nodeEnvironment } from './local-node.js';

const BIN = fileURLToPath(new URL('../../bin/replyx.js', import.meta.url));

const parseLine = (line: string): Record<string, unknown> => {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return {};
  }
};

/**
 * Starts `replyx serve` as a process of its own. It ends with this process: it holds the other end of an IPC channel. What it
 * logs at warning level and above goes to `onLog`.
 */
export const startProcessNode = (
  shared: LocalEnvironment,
  plan: NodePlan,
  onLog: (line: string) => void,
): Promise<LocalNode> =>
  new Promise((resolve, reject) => {
    const child = fork(BIN, ['serve'], {
      env: nodeEnvironment(shared, plan),
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: true,
    });
    const ended = new Promise<void>((done) => child.once('exit', () => done()));
    let lastWords = '';
    child.stderr?.on('data', (data: Buffer) => {
      lastWords = data.toString().trim();
      onLog(`${plan.id} ${lastWords}`);
    });
    child.once('exit', (code) => reject(new CommandFailure(`${plan.id} ended with code ${code}: ${lastWords}`)));
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).on('line', (line) => {
      const entry = parseLine(line);
      if (entry['event'] === 'listening') {
        resolve({
          id: plan.id,
          port: Number(entry['port']),
          internalPort: Number(entry['internal_port']),
          stop: async () => {
            child.kill('SIGTERM');
            await ended;
          },
        });
      } else if (entry['level'] === 'warn' || entry['level'] === 'error' || entry['level'] === 'fatal') onLog(line);
    });
  });
