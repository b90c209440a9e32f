import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import { CompactSign, type CryptoKey } from 'jose';
import type { ConfiguredKey } from '../config/gateway-config.js';

const HMAC = { name: 'HMAC', hash: 'SHA-256' } as const;
const encoder = new TextEncoder();

/** A secret that signs and verifies HS256 (RFC 7515, RFC 7518 section 3.2). */
export interface SecretKey {
  /** Imported once, because importing costs as much as signing. */
  readonly signer: CryptoKey;
  /**
   * The payload of a compact JWS that carries this secret's signature. At once, on this thread: a job of the pool costs ten times as
   * much, and newcomers that come together would go on one by one.
   */
  payloadOf(token: string): Uint8Array | undefined;
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
    signer: await crypto.subtle.importKey('raw', bytes, HMAC, false, ['sign']),
    payloadOf: (token) => {
      const end = token.lastIndexOf('.');
      const signature = Buffer.from(token.slice(end + 1), 'latin1');
      const own = Buffer.from(createHmac('sha256', secret).update(token.slice(0, end)).digest('base64url'), 'latin1');
      if (signature.length !== own.length || !timingSafeEqual(signature, own)) return undefined;
      return Buffer.from(token.slice(token.indexOf('.') + 1, end), 'base64url');
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
        .sign(first.secret.signer),
    keysFor: (kid) => (kid === undefined ? all : (byKid.get(kid) ?? [])),
  };
};
