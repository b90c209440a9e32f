import { describeAddress, type inspectRedis, parseRedisUrl, type RedisAddress } from '@replyx/redis';
import { looksLikeExample } from '../config/keys.js';
import type { Env, ReadFile } from '../config/setting-reader.js';
import { addressKind } from './address-kind.js';
import type { RedisTarget } from './facts.js';
import { isGuessable, rawSecret } from './secret-facts.js';

export type Inspect = typeof inspectRedis;

const MIN_PASSWORD_CHARS = 16;

const worthOf = (password: string | undefined): RedisTarget['password'] => {
  if (password === undefined) return 'none';
  const weak = password.length < MIN_PASSWORD_CHARS || looksLikeExample(password) || isGuessable(password);
  return weak ? 'weak' : 'strong';
};

const parsed = (url: string): RedisAddress | undefined => {
  try {
    return parseRedisUrl(url);
  } catch {
    // The configuration is refused too, or the inspection says why.
    return undefined;
  }
};

/** The Redis URLs of a configuration, each with what answered there where `inspect` is given. */
export const redisTargets = async (
  env: Env,
  readFile: ReadFile,
  inspect: Inspect | undefined,
): Promise<readonly RedisTarget[]> => {
  const target = async (setting: RedisTarget['setting'], source: RedisTarget['source'], url: string) => {
    const address = parsed(url);
    return {
      setting,
      source,
      server: address === undefined ? 'unknown' : describeAddress(address),
      tls: address?.tls === true,
      // Sentinels here may name a master elsewhere.
      loopback:
        address !== undefined &&
        address.mode !== 'sentinel' &&
        address.hosts.every(({ host }) => addressKind(host) === 'loopback'),
      password: worthOf(address?.password),
      inspections: inspect === undefined ? [] : await inspect(url),
    } satisfies RedisTarget;
  };
  const main = rawSecret(env, readFile, 'REDIS_URL');
  const locks = rawSecret(env, readFile, 'WS_LOCK_REDIS_URLS');
  const lockUrls = locks.text.split(',').map((url) => url.trim());
  return Promise.all([
    ...(main.text === '' ? [] : [target('REDIS_URL', main.source, main.text)]),
    ...lockUrls.filter((url) => url !== '').map((url) => target('WS_LOCK_REDIS_URLS', locks.source, url)),
  ]);
};
