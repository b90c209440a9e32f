// `npm run chaos -- --minutes 10 --seed 1`: breaks a real cluster for a while and has what clients and backend saw judged.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { bootstrap, failWith, root } from '../../deploy/local/bootstrap.mjs';

try {
  bootstrap();
} catch (error) {
  failWith(error);
}
// Node 20 runs no TypeScript; the compiler that checks these files writes them, too.
const out = join(root, '.cache', 'chaos', 'built');
const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
const compiled = spawnSync(
  process.execPath,
  [tsc, '-p', join(root, 'test', 'chaos', 'tsconfig.json'), '--outDir', out],
  {
    cwd: root,
    stdio: 'inherit',
  },
);
if (compiled.status !== 0) process.exit(1);
const { main } = await import(join(out, 'chaos', 'main.js'));
process.exitCode = await main(process.argv.slice(2), join(root, '.cache', 'chaos'));
