import { CompactSign, type CryptoKey } from 'jose';
import type { ConfiguredKey } from '../config/gateway-config.js';

const HMAC = { name: 'HMAC', hash: 'SHA-256' } as const;
const encoder = new TextEncoder();

/** The current keys of one purpose. HS256 only; each is imported once, because importing costs as much as verifying. */
export interface Keyring {
  /** A compact JWS over the payload with the first key; its header carries the key's id where it has one. */
  sign(payload: string): Promise<string>;
  /** The one key of that id, or every key when the token names none. Empty: no such key. */
  keysFor(kid: string | undefined): readonly CryptoKey[];
}

/** `keys` is not empty; the first signs. */
export const createKeyring = async (keys: readonly ConfiguredKey[]): Promise<Keyring> => {
  const imported = await Promise.all(
    keys.map(async ({ kid, value }) => {
      const bytes = encoder.encode(value.reveal());
      return { kid, key: await crypto.subtle.importKey('raw', bytes, HMAC, false, ['sign', 'verify']) };
    }),
  );
  const [first] = imported;
  if (first === undefined) throw new TypeError('a keyring needs a key');
  const all = imported.map(({ key }) => key);
  const byKid = new Map(imported.flatMap(({ kid, key }) => (kid === undefined ? [] : [[kid, [key]] as const])));
  return {
    sign: (payload) =>
      new CompactSign(encoder.encode(payload))
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT', ...(first.kid !== undefined && { kid: first.kid }) })
        .sign(first.key),
    keysFor: (kid) => (kid === undefined ? all : (byKid.get(kid) ?? [])),
  };
};
