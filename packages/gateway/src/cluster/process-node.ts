import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { CommandFailure } from '../commands/command.js';
import { startChild } from './child.js';
import { type LocalEnvironment, type LocalNode, type NodePlan, nodeEnvironment } from './local-node.js';

const BIN = fileURLToPath(new URL('../../bin/replyx.js', import.meta.url));

const parseLine = (line: string): Record<string, unknown> => {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return {};
  }
};

/** Starts `replyx serve` as a process of its own. What it logs at warning level and above goes to `onLog`. */
export const startProcessNode = (
  shared: LocalEnvironment,
  plan: NodePlan,
  onLog: (line: string) => void,
): Promise<LocalNode> =>
  new Promise((resolve, reject) => {
    const child = startChild(plan.id, BIN, ['serve'], nodeEnvironment(shared, plan), onLog);
    const { ended, stop, kill } = child;
    void ended.then((how) => reject(new CommandFailure(`${plan.id} ended with ${how}: ${child.lastWords()}`)));
    if (child.process.stdout === null) return;
    createInterface({ input: child.process.stdout }).on('line', (line) => {
      const entry = parseLine(line);
      if (entry['event'] === 'listening') {
        resolve({
          id: plan.id,
          port: Number(entry['port']),
          internalPort: Number(entry['internal_port']),
          ended,
          stop,
          kill,
        });
      } else if (entry['level'] === 'warn' || entry['level'] === 'error' || entry['level'] === 'fatal') onLog(line);
    });
  });
