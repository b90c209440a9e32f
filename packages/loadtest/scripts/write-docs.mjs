// Writes the generated parts of packages/loadtest/docs. Run after a build: node packages/loadtest/scripts/write-docs.mjs
import { readFileSync, writeFileSync } from 'node:fs';
import { withCapacityParts } from '../dist/plan/capacity-page.js';

const page = new URL('../docs/capacity.md', import.meta.url);
const text = readFileSync(page, 'utf8');
const current = withCapacityParts(text);
if (current !== text) {
  writeFileSync(page, current);
  console.log('docs/capacity.md written');
}
