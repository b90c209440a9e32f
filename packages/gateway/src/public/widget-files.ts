import { readFileSync } from 'node:fs';

export interface WidgetFiles {
  readonly page: string;
  readonly assets: readonly { readonly path: string; readonly type: string; readonly body: string }[];
}

const read = (name: string): string => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');

const SCRIPT = 'text/javascript; charset=utf-8';

/** Address, and file in the package. Nothing else is served, so no path can lead out of it. The client is the playground's. */
const ASSETS = [
  { path: '/widget/assets/page.js', name: 'widget/page.js', type: SCRIPT },
  { path: '/widget/assets/client.js', name: 'playground/client.js', type: SCRIPT },
  { path: '/widget/assets/page.css', name: 'widget/page.css', type: 'text/css; charset=utf-8' },
] as const;

/** The hosted page's files as they are in the package: there is no build step. */
export const readWidgetFiles = (): WidgetFiles => ({
  page: read('widget/index.html'),
  assets: ASSETS.map(({ path, name, type }) => ({ path, type, body: read(name) })),
});
