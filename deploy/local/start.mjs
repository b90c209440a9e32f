// `npm start`: a small cluster on this machine.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { bootstrap, failWith, root } from './bootstrap.mjs';

try {
  bootstrap({ only: '@replyx/gateway' });
} catch (error) {
  failWith(error);
}

const command = join(root, 'packages', 'gateway', 'bin', 'replyx.js');
// In a group of its own: Ctrl-C at a terminal goes to the whole foreground group, and the cluster would get it twice,
// once from there and once from here.
const cluster = spawn(process.execPath, [command, 'cluster', '--nodes', '3', ...process.argv.slice(2)], {
  stdio: ['ignore', 'inherit', 'inherit'],
  detached: true,
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => cluster.kill(signal));
process.on('exit', () => cluster.kill('SIGTERM'));
cluster.on('error', (error) => failWith(error));
cluster.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
