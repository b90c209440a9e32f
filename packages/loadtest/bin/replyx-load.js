#!/usr/bin/env node
// Committed, not built: npm links a command on install, before anything is built.
import { existsSync } from 'node:fs';

const fail = (line) => {
  process.stderr.write(`replyx-load: ${line}\n`);
  process.exitCode = 1;
};

// A reader that stops reading (`replyx-load --help | head`) is no fault.
process.stdout.on('error', (error) => process.exit(error.code === 'EPIPE' ? 0 : 1));

const cli = new URL('../dist/cli.js', import.meta.url);
if (Number(process.versions.node.split('.')[0]) < 20) {
  fail(`Node 20 or newer is needed, this is ${process.versions.node}`);
} else if (!existsSync(cli)) {
  fail('REPLYX is not built: run npm run build');
} else {
  const loaded = await import(cli.href).catch((error) => {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    fail('REPLYX is not built or not installed whole: run npm install and npm run build');
  });
  if (loaded) process.exitCode = await loaded.main(process.argv.slice(2));
}
