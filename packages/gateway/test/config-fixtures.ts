import type { Env, ReadFile } from '../src/config/setting-reader.js';

/** Values with the look of random ones; they open nothing. */
export const KEY_A = 'q3Vn8dTzWc5LrYpG7uXs2KbJmHfE9aQo';
export const KEY_B = 'Zt6RkPw4NyCx1MvBhSj8GdLfUeQ3oIaT';
export const KEY_C = 'mW7xKfRz2DqTgYv5NcLpHb9JsEuXa3Vo';
export const API_KEY = 'Jd8mQz4TnXw6RkPvLcYb2HsGfUeA9oIq';

export const PRODUCTION: Env = {
  ENVIRONMENT: 'production',
  SECRET_KEY: KEY_A,
  SITE_SECRET: KEY_B,
  API_KEYS: API_KEY,
  REDIS_URL: 'redis://redis:6379',
};

/** Reads from a record of contents; an absent one is ENOENT, an Error is thrown. */
export const files =
  (contents: Readonly<Record<string, string | Error>> = {}): ReadFile =>
  (path) => {
    const content = contents[path];
    if (content === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
    if (content instanceof Error) throw content;
    return content;
  };

export const countingBytes = (): ((length: number) => Uint8Array) => {
  let call = 0;
  return (length) => {
    call += 1;
    return new Uint8Array(length).fill(call);
  };
};
