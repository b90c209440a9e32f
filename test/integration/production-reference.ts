import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, type RedisServer, scratchPath } from '@replyx/testkit';

/** A production deployment: an env file, and each secret in a file of its own that only its owner reads. */
export interface ProductionReference {
  readonly env: Readonly<Record<string, string>>;
  /** Every secret that stands in a file. */
  readonly secrets: readonly string[];
  readonly apiKey: string;
  /** Writes another secret file, and tells its path. */
  secretFile(content: string): string;
  /** Writes the env file with some names changed or left out, and tells its path. */
  envFile(changes?: Readonly<Record<string, string | undefined>>): string;
}

const random = (): string => randomBytes(32).toString('base64url');

/** The password that the Redis of the reference must have. */
export const redisPassword = random();

/** Makes the files of a deployment on this Redis, on free ports of this machine. */
export const productionReference = async (redis: RedisServer): Promise<ProductionReference> => {
  const folder = scratchPath('production');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  let count = 0;
  const write = (name: string, content: string): string => {
    const path = join(folder, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  };
  const secretFile = (content: string): string => write(`secret-${++count}`, `${content}\n`);
  const [secretKey, siteSecret, apiKey, publicId] = [random(), random(), random(), random()];
  const env = {
    ENVIRONMENT: 'production',
    HOST: '127.0.0.1',
    PORT: String(await freePort()),
    INTERNAL_HOST: '127.0.0.1',
    INTERNAL_PORT: String(await freePort()),
    NODE_ID: 'reference',
    REDIS_URL_FILE: secretFile(redis.url),
    WS_REDIS_PREFIX: 'chat',
    SECRET_KEY_FILE: secretFile(secretKey),
    SITE_SECRET_FILE: secretFile(siteSecret),
    API_KEYS_FILE: secretFile(apiKey),
    PUBLIC_ID_SECRET_FILE: secretFile(publicId),
    CORS_ORIGINS: 'https://app.example.com',
    WS_WIDGET_ORIGINS: 'https://widget.example.com',
    WS_TRUSTED_PROXIES: '10.0.0.0/8',
    // What every machine on which tests run allows.
    WS_MAX_TOTAL_CONNECTIONS: '500',
  };
  return {
    env,
    secrets: [secretKey, siteSecret, apiKey, publicId, redisPassword],
    apiKey,
    secretFile,
    envFile: (changes = {}) => {
      const lines = Object.entries({ ...env, ...changes }).flatMap(([name, value]) =>
        value === undefined ? [] : `${name}=${value}\n`,
      );
      return write(`production-${++count}.env`, lines.join(''));
    },
  };
};
