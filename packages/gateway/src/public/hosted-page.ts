import { type AssistantRecord, frameAncestors, parseOrigin } from '@replyx/core';
import { isId } from '@replyx/protocol';
import type { HttpAnswer } from '../http/http.js';
import type { PublicCall, PublicRoute, PublicRouteDescription } from './public-http.js';
import { PAGE_ROUTE } from './route-table.js';
import { readWidgetFiles } from './widget-files.js';

export interface HostedPageParts {
  readonly directory: 'strict' | 'open';
  readonly assistant: (assistantId: string) => Promise<AssistantRecord | undefined> | AssistantRecord | undefined;
}

/** The page's own node; `'self'` is not yet taken for `ws` by every browser. `Host` is anybody's text: only a host passes. */
const socketSources = (host: string | undefined): string => {
  const origin = host === undefined ? undefined : parseOrigin(`http://${host}`)?.canonical.slice('http://'.length);
  return origin === undefined ? '' : ` ws://${origin} wss://${origin}`;
};

const headers = (domains: readonly string[], host: string | undefined): Record<string, string> => ({
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    `connect-src 'self'${socketSources(host)}`,
    "base-uri 'none'",
    "form-action 'none'",
    `frame-ancestors ${frameAncestors(domains)}`,
  ].join('; '),
  // A frame of another site: that is what it is for.
  'Cross-Origin-Resource-Policy': 'cross-origin',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
});

const NOTHING =
  '<!doctype html><html lang="en"><meta charset="utf-8"><title>Not found</title><p>There is no such page.</p></html>\n';

/** The hosted page and its files. The same for all assistants: what it is about, it takes from its own address. */
export const hostedPageRoutes = ({ directory, assistant }: HostedPageParts): PublicRoute[] => {
  const { page, assets } = readWidgetFiles();
  const html = (status: number, body: string, domains: readonly string[], call: PublicCall): HttpAnswer => ({
    status,
    type: 'text/html; charset=utf-8',
    body,
    headers: headers(domains, call.host),
  });
  const served: PublicRoute = {
    ...PAGE_ROUTE,
    handle: async (call) => {
      const [id] = call.parameters;
      const record = isId(id) ? await assistant(id) : undefined;
      if (record?.active === true) return html(200, page, record.allowedDomains, call);
      // Nobody's domains bind it, so no page may hold it; where assistants need not be registered it can be opened by itself.
      if (directory === 'open' && record === undefined && isId(id)) return html(200, page, [], call);
      return html(404, NOTHING, [], call);
    },
  };
  const files = assets.map(({ path, type, body }): PublicRoute => {
    const description: PublicRouteDescription = {
      method: 'get',
      path,
      open: true,
      id: path,
      tag: 'visitors',
      endpoint: 'asset',
      summary: 'A file of the hosted page.',
      answers: { 200: { means: 'The file.', body: 'text' } },
      problems: [],
      usesBackplane: false,
    };
    return {
      ...description,
      handle: () => ({ status: 200, type, body, headers: { 'Cache-Control': 'public, max-age=300' } }),
    };
  });
  return [served, ...files];
};
