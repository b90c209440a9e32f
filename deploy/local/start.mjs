// `npm start`: a small cluster on this machine, its page, and an example backend that answers visitors.
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
const backend = join(root, 'deploy', 'local', 'example-backend.mjs');
const options = ['--nodes', '3', '--backend', backend, ...process.argv.slice(2)];
const cluster = spawn(process.execPath, [command, 'cluster', ...options], {
  stdio: ['ignore', 'inherit', 'inherit'],
  detached: true,
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => cluster.kill(signal));
process.on('exit', () => cluster.kill('SIGTERM'));
cluster.on('error', (error) => failWith(error));
cluster.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
