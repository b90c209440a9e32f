import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { configTable } from '../src/config/config-table.js';
import { envFile } from '../src/config/env-file.js';
import { readConfig } from '../src/config/read-config.js';
import { SETTING_NAMES } from '../src/config/schema.js';
import { systemRandom } from '../src/system-clock.js';
import { files } from './config-fixtures.js';

it('docs/configuration.md holds the current table (npx replyx config-docs prints it)', () => {
  const page = readFileSync(new URL('../docs/configuration.md', import.meta.url), 'utf8');
  const [, table] = /<!-- config-docs:begin -->\n([\s\S]*?)<!-- config-docs:end -->/.exec(page) ?? [];
  expect(table).toBe(configTable());
});

it('a generated .env names every setting and is a valid production configuration', () => {
  const text = envFile('production', systemRandom.bytes);
  for (const name of SETTING_NAMES) expect(text).toMatch(new RegExp(`^#?${name}=`, 'm'));
  const env = Object.fromEntries([...text.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [name, value]));
  expect(readConfig(env, files())).toMatchObject({ ok: true, generated: [] });
});
