import { addressKind } from './address-kind.js';
import { type Answer, type AskParts, ask } from './ask.js';
import type { EdgeFacts } from './facts.js';
import { hasMetrics, isInternalApi } from './look-at-node.js';

/** Of nobody: `.invalid` is reserved for names that do not exist. */
const FOREIGN_ORIGIN = 'https://replyx-audit.invalid';

/** Headers that a node never sends. */
const PROXY_HEADERS = [
  'via',
  'server',
  'x-cache',
  'x-served-by',
  'cf-ray',
  'x-amz-cf-id',
  'x-envoy-upstream-service-time',
];

const proxyOf = (url: string, answers: readonly Answer[]): string | undefined => {
  // A node speaks no TLS: something else ends it.
  if (url.startsWith('https:')) return 'it ends TLS';
  const header = PROXY_HEADERS.find((name) => answers.some((one) => one.reached && one.headers.has(name)));
  return header === undefined ? undefined : `it sends the header ${header}`;
};

const allowsAnyOrigin = (answer: Answer): boolean => {
  if (!answer.reached) return false;
  const allowed = answer.headers.get('access-control-allow-origin');
  return (
    (allowed === '*' || allowed === FOREIGN_ORIGIN) && answer.headers.get('access-control-allow-credentials') === 'true'
  );
};

/**
 * Asks the public address, as anybody could, with a handful of requests: too few for a limit, and without a token. `url` has no
 * slash at its end.
 */
export const lookAtEdge = async (parts: AskParts, url: string): Promise<EdgeFacts> => {
  const plain = await ask(parts, `${url}/`);
  if (!plain.reached) return { url, reached: false, why: plain.why };
  const internal = ['/v1/cluster', '/v1/openapi.json'];
  const [metrics, preflight, ...internalAnswers] = await Promise.all([
    ask(parts, `${url}/metrics`),
    ask(parts, `${url}/api/site/sessions`, {
      method: 'OPTIONS',
      headers: { origin: FOREIGN_ORIGIN, 'access-control-request-method': 'POST' },
    }),
    ...internal.map((path) => ask(parts, `${url}${path}`)),
  ]);
  const answers = [plain, metrics, preflight, ...internalAnswers];
  return {
    url,
    reached: true,
    https: url.startsWith('https:'),
    place: addressKind(new URL(url).hostname),
    metrics: hasMetrics(metrics),
    internalPaths: internal.filter((_, index) => isInternalApi(internalAnswers[index] as Answer)),
    nosniff: plain.headers.get('x-content-type-options')?.toLowerCase() === 'nosniff',
    hsts: plain.headers.has('strict-transport-security'),
    proxy: proxyOf(url, answers),
    anyOrigin: allowsAnyOrigin(preflight),
  };
};
