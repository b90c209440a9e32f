import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import { CompactSign, type CryptoKey } from 'jose';
import type { ConfiguredKey } from '../config/gateway-config.js';

const HMAC = { name: 'HMAC', hash: 'SHA-256' } as const;
const encoder = new TextEncoder();

/** A secret that verifies HS256. */
export interface SecretKey {
  /** Imported once, because importing costs as much as verifying. */
  readonly key: CryptoKey;
  /** Whether a compact JWS carries this secret's signature. At once, on this thread: a job in the pool costs ten times as much. */
  signed(token: string): boolean;
}

/** The current keys of one purpose. HS256 only. */
export interface Keyring {
  /** A compact JWS over the payload with the first key; its header carries the key's id where it has one. */
  sign(payload: string): Promise<string>;
  /** The one key of that id, or every key when the token names none. Empty: no such key. */
  keysFor(kid: string | undefined): readonly SecretKey[];
}

const secretKey = async (bytes: Uint8Array<ArrayBuffer>): Promise<SecretKey> => {
  const secret = createSecretKey(bytes);
  return {
    key: await crypto.subtle.importKey('raw', bytes, HMAC, false, ['sign', 'verify']),
    signed: (token) => {
      const end = token.lastIndexOf('.');
      const signature = Buffer.from(token.slice(end + 1), 'latin1');
      const own = createHmac('sha256', secret).update(token.slice(0, end)).digest('base64url');
      return signature.length === own.length && timingSafeEqual(signature, Buffer.from(own, 'latin1'));
    },
  };
};

/** `keys` is not empty; the first signs. */
export const createKeyring = async (keys: readonly ConfiguredKey[]): Promise<Keyring> => {
  const imported = await Promise.all(
    keys.map(async ({ kid, value }) => ({ kid, secret: await secretKey(encoder.encode(value.reveal())) })),
  );
  const [first] = imported;
  if (first === undefined) throw new TypeError('a keyring needs a key');
  const all = imported.map(({ secret }) => secret);
  const byKid = new Map(imported.flatMap(({ kid, secret }) => (kid === undefined ? [] : [[kid, [secret]] as const])));
  return {
    sign: (payload) =>
      new CompactSign(encoder.encode(payload))
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT', ...(first.kid !== undefined && { kid: first.kid }) })
        .sign(first.secret.key),
    keysFor: (kid) => (kid === undefined ? all : (byKid.get(kid) ?? [])),
  };
};
