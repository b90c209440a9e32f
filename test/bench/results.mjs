import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../deploy/local/bootstrap.mjs';

const FOLDER = join(root, '.cache', 'bench');
const FILE = join(FOLDER, 'results.json');

/** The rounds of each scenario's last run, and the options that it was run with. */
export const readResults = () => {
  try {
    return JSON.parse(readFileSync(FILE, 'utf8'));
  } catch {
    return {};
  }
};

/** Each scenario as soon as it is through: a long run that breaks off keeps what it has. A quick run is no measurement. */
export const keepResults = (name, measured) => {
  if (measured.options.quick) return;
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(FILE, `${JSON.stringify({ ...readResults(), [name]: measured }, null, 1)}\n`);
};
