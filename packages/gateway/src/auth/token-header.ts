import { remembering } from '@replyx/core';
import { BOUNDS } from '@replyx/protocol';
import { parseJsonObject } from '@replyx/protocol/schemas';

export type AsymmetricAlgorithm = 'RS256' | 'ES256' | 'EdDSA';
export type Algorithm = 'HS256' | AsymmetricAlgorithm;

export type HeaderResult =
  | { readonly ok: true; readonly algorithm: Algorithm; readonly kid: string | undefined }
  | { readonly ok: false; readonly reason: 'malformed' | 'algorithm' };

const ALGORITHMS: ReadonlySet<string> = new Set<Algorithm>(['HS256', 'RS256', 'ES256', 'EdDSA']);
const COMPACT = /^([\w-]+)\.[\w-]+\.[\w-]+$/;
const MAX_HEADER_CHARS = 1024;
/** Base64 and base64url, because issuers use key thumbprints; an id is only ever looked up in a map. */
const KID = /^[\w.+/=-]{1,64}$/;

/** Parameters by which a token would choose its own key, or change what is signed. */
const FORBIDDEN = ['jku', 'jwk', 'x5u', 'x5c', 'crit', 'b64', 'zip', 'enc', 'epk', 'apu', 'apv', 'p2s', 'p2c'];

const decoder = new TextDecoder('utf-8', { fatal: true });

/** The UTF-8 text of a base64url part; undefined when it is not UTF-8. */
export const decodePart = (part: string): string | undefined => {
  try {
    return decoder.decode(Buffer.from(part, 'base64url'));
  } catch {
    return undefined;
  }
};

const typeIsAllowed = (typ: unknown): boolean =>
  typ === undefined || (typeof typ === 'string' && /^(application\/)?(jwt|at\+jwt)$/i.test(typ));

/** The tokens of an issuer share a few headers. */
const judgeHeader = remembering(
  (part): HeaderResult => {
    const json = parseJsonObject(decodePart(part) ?? '', 3);
    if (!json.ok) return { ok: false, reason: 'malformed' };
    const header = json.value;
    const parameter = (name: string): unknown => (Object.hasOwn(header, name) ? header[name] : undefined);
    if (FORBIDDEN.some((name) => Object.hasOwn(header, name)) || !typeIsAllowed(parameter('typ'))) {
      return { ok: false, reason: 'malformed' };
    }
    const kid = parameter('kid');
    if (kid !== undefined && (typeof kid !== 'string' || !KID.test(kid))) return { ok: false, reason: 'malformed' };
    const alg = parameter('alg');
    if (typeof alg !== 'string' || !ALGORITHMS.has(alg)) return { ok: false, reason: 'algorithm' };
    return { ok: true, algorithm: alg as Algorithm, kid };
  },
  { most: 64, maxChars: 256 },
);

/** Judges the shape of a token and its header, before any key is looked up. */
export const readTokenHeader = (token: string): HeaderResult => {
  const part = token.length <= BOUNDS.tokenChars ? COMPACT.exec(token)?.[1] : undefined;
  if (part === undefined || part.length > MAX_HEADER_CHARS) return { ok: false, reason: 'malformed' };
  return judgeHeader(part);
};
