import type { AuthConfig, ConfiguredKey } from './gateway-config.js';
import { looksGuessable, looksLikeExample, type NamedKey } from './keys.js';
import type { NameOf, SettingName } from './schema.js';
import { Secret } from './secret.js';
import type { SettingReader } from './setting-reader.js';

/** A secret made because none was configured; the caller shows it once. */
export interface GeneratedSecret {
  readonly name: SettingName;
  readonly value: string;
}

export type RandomBytes = (length: number) => Uint8Array;

const freshSecret = (random: RandomBytes): string => Buffer.from(random(32)).toString('base64url');

const configured = (key: NamedKey): ConfiguredKey => ({
  ...(key.kid !== undefined && { kid: key.kid }),
  value: new Secret(key.value),
});

/** No value may serve two purposes: who holds one key must not be able to use it as the other. */
const checkShared = (reader: SettingReader, sets: readonly (readonly [SettingName, readonly NamedKey[]])[]): void => {
  for (const [index, [name, keys]] of sets.entries()) {
    const values = new Set(keys.map(({ value }) => value));
    for (const [other, others] of sets.slice(0, index)) {
      // A retired key of SECRET_KEY lives on as PUBLIC_ID_SECRET.
      if (name === 'PUBLIC_ID_SECRET' && other === 'SECRET_KEY') continue;
      if (others.some(({ value }) => values.has(value))) reader.problem(name, `shares a value with ${other}`);
    }
  }
};

/** The settings of credentials. `generated` stays empty in production. */
export const readAuth = (
  reader: SettingReader,
  random: RandomBytes,
): { readonly auth: AuthConfig; readonly generated: readonly GeneratedSecret[] } => {
  const sets = [
    ['SECRET_KEY', reader.keys('SECRET_KEY')],
    ['SITE_SECRET', reader.keys('SITE_SECRET')],
    ['API_KEYS', reader.apiKeys('API_KEYS')],
    ['PUBLIC_ID_SECRET', reader.keys('PUBLIC_ID_SECRET')],
  ] as const;
  checkShared(reader, sets);
  for (const [name, keys] of sets) {
    if (!reader.production) continue;
    if (keys.some(({ value }) => looksLikeExample(value))) {
      reader.problem(name, 'looks like an example, not like a random value (replyx gen-config makes one)');
    } else if (keys.some(({ value }) => looksGuessable(value))) {
      reader.advise(name, 'does not look like a random value (replyx gen-config makes one)');
    }
  }

  const generated: GeneratedSecret[] = [];
  const orGenerated = (name: NameOf<'keys' | 'apiKeys'>, keys: readonly NamedKey[]): readonly NamedKey[] => {
    if (keys.length > 0 || reader.given(name) || reader.production) return keys;
    const value = freshSecret(random);
    generated.push({ name, value });
    return [{ value }];
  };
  const operatorKeys = orGenerated('SECRET_KEY', sets[0][1]);
  const siteKeys = orGenerated('SITE_SECRET', sets[1][1]);
  const apiKeys = orGenerated('API_KEYS', sets[2][1]);

  const jwksUrl = reader.text('WS_JWKS_URL');
  const issuer = reader.text('WS_TOKEN_ISSUER');
  const audience = reader.text('WS_TOKEN_AUDIENCE');
  if (reader.given('WS_JWKS_URL')) {
    const missing = (['WS_TOKEN_ISSUER', 'WS_TOKEN_AUDIENCE'] as const).filter((name) => !reader.given(name));
    // Without them a token that the issuer made for another service would open dialogs.
    if (missing.length > 0) reader.problem('WS_JWKS_URL', `needs ${missing.join(' and ')}`);
  }

  const maxLife = reader.integer('WS_TOKEN_MAX_LIFE_SECONDS');
  const siteAge = reader.integer('WS_SITE_TOKEN_MAX_AGE_SECONDS');
  // A revocation is kept for the maximum life: a site token that lived longer would come back.
  if (reader.given('WS_SITE_TOKEN_MAX_AGE_SECONDS') && siteAge > maxLife) {
    reader.problem('WS_SITE_TOKEN_MAX_AGE_SECONDS', `must not be more than WS_TOKEN_MAX_LIFE_SECONDS (${maxLife})`);
  }

  const publicIdKey = (sets[3][1].at(-1) ?? operatorKeys.at(-1))?.value ?? '';
  return {
    auth: {
      operatorKeys: operatorKeys.map(configured),
      siteKeys: siteKeys.map(configured),
      apiKeys: apiKeys.map(({ value }) => new Secret(value)),
      publicIdKey: new Secret(publicIdKey),
      ...(jwksUrl !== undefined && { jwksUrl }),
      ...(issuer !== undefined && { issuer }),
      ...(audience !== undefined && { audience }),
      clockToleranceMs: reader.integer('WS_TOKEN_CLOCK_TOLERANCE_SECONDS') * 1000,
      tokenMaxLifeMs: maxLife * 1000,
      siteTokenMaxAgeMs: Math.min(siteAge, maxLife) * 1000,
      allowQueryToken: reader.boolean('WS_ALLOW_QUERY_TOKEN'),
    },
    generated,
  };
};
