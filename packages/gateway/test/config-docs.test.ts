import { expect, it } from 'vitest';
import { envFile } from '../src/config/env-file.js';
import { readConfig } from '../src/config/read-config.js';
import { SETTING_NAMES } from '../src/config/schema.js';
import { systemRandom } from '../src/system-clock.js';
import { files } from './config-fixtures.js';

it('a generated .env names every setting and is a valid production configuration', () => {
  const text = envFile('production', systemRandom.bytes);
  for (const name of SETTING_NAMES) expect(text).toMatch(new RegExp(`^#?${name}=`, 'm'));
  const env = Object.fromEntries([...text.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [name, value]));
  expect(readConfig(env, files())).toMatchObject({ ok: true, generated: [] });
});
