import { type ProcessEnv, siteToken, TEST_ASSISTANT, TEST_DOMAIN, TEST_TENANT } from '@replyx/testkit';
import { startWorld, type World, type WorldNode } from '../integration/world.js';
import { type ChromiumOptions, launchChromium } from './chromium.js';
import type { Page } from './page.js';
import { type Sites, startSites } from './sites.js';

/** What the browser calls the gateway: a site of its own, and not the customer's. */
export const GATEWAY_HOST = 'chat.example';
export const STRANGER = 'evil.example';

export interface StageOptions extends ChromiumOptions {
  readonly nodes?: number;
  readonly env?: ProcessEnv;
}

/** Gateway nodes with a registered assistant, other people's web sites, and a browser that sees both. */
export interface Stage {
  readonly world: World;
  readonly sites: Sites;
  /** A tab with storage of its own. */
  open(url: string): Promise<Page>;
  close(): Promise<void>;
}

export const startStage = async ({ nodes = 1, env = {}, ...options }: StageOptions = {}): Promise<Stage> => {
  const [world, sites, chromium] = await Promise.all([
    startWorld({ nodes, env }),
    startSites(),
    launchChromium(options),
  ]);
  for (const { api } of world.nodes) {
    // Each node is told: a preflight is answered from what a node itself knows.
    await api.put(`/v1/assistants/${TEST_ASSISTANT}`, { tenant: TEST_TENANT, allowed_domains: [TEST_DOMAIN] });
  }
  return {
    world,
    sites,
    open: (url) => chromium.open(url),
    close: async () => {
      await Promise.all([world.close(), sites.close(), chromium.close()]);
    },
  };
};

/** An address of the gateway as pages write it. */
export const addressOf = (node: WorldNode, path = '', host = GATEWAY_HOST): string =>
  `http://${host}:${new URL(node.wsUrl).port}${path}`;

export const socketAddressOf = (node: WorldNode, path: string, host = GATEWAY_HOST): string =>
  addressOf(node, path, host).replace('http:', 'ws:');

/** What a customer puts into a page; a token that is null comes later. */
export const frameOf = (
  node: WorldNode,
  { token = siteToken(), attributes = '' }: { token?: string | null; attributes?: string } = {},
): string => {
  const fragment = token === null ? '' : `#token=${token}`;
  return `<iframe ${attributes} src="${addressOf(node, `/widget/${TEST_ASSISTANT}`)}${fragment}"></iframe>`;
};

/** How many requests for a session the nodes have answered, whatever the answer. */
export const sessionsAsked = async (world: World): Promise<number> => {
  const pages = await Promise.all(world.nodes.map(({ api }) => api.get('/metrics')));
  const lines = pages.flatMap(({ body }) => String(body).split('\n'));
  return lines
    .filter((line) => line.startsWith('replyx_http_requests_total') && line.includes('/sessions'))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
};
