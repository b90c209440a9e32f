// Writes the generated tables of packages/gateway/docs. Run after a build: node packages/gateway/scripts/write-docs.mjs
import { readFileSync, writeFileSync } from 'node:fs';
import { GENERATED_TABLES, withTable } from '../dist/docs/generated-tables.js';

for (const generated of GENERATED_TABLES) {
  const page = new URL(`../docs/${generated.page}`, import.meta.url);
  const text = readFileSync(page, 'utf8');
  const current = withTable(text, generated);
  if (current === text) continue;
  writeFileSync(page, current);
  console.log(`docs/${generated.page}: ${generated.marker} written`);
}
