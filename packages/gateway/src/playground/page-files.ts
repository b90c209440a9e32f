import { readFileSync } from 'node:fs';

export interface PageFile {
  readonly type: string;
  readonly body: Buffer;
}

const TYPES = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
} as const;

/** Address, and file in the package's folder `playground`. Nothing else is served, so no path can lead out of it. */
const FILES = {
  '/': 'index.html',
  '/page.css': 'page.css',
  '/page.js': 'page.js',
  '/pane.js': 'pane.js',
  '/client.js': 'client.js',
  '/icon.svg': 'icon.svg',
} as const;

const typeOf = (name: string): string => TYPES[name.split('.').at(-1) as keyof typeof TYPES];

/** The page's files by address, as they are in the package: there is no build step. */
export const readPageFiles = (): ReadonlyMap<string, PageFile> =>
  new Map(
    Object.entries(FILES).map(([path, name]) => [
      path,
      { type: typeOf(name), body: readFileSync(new URL(`../../playground/${name}`, import.meta.url)) },
    ]),
  );
