import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A server of other people's web sites: whatever its name, it gives the pages that it was told. */
export interface Sites {
  /** The address of a page with this body, on a host that the browser takes for another site. */
  page(host: string, body?: string): string;
  close(): Promise<void>;
}

const SCRIPT = readFileSync(new URL('./pages/site.js', import.meta.url), 'utf8');

const documentOf = (body: string): string =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>A site</title><link rel="icon" href="data:,"><script src="/site.js"></script>${body}</html>`;

export const startSites = async (): Promise<Sites> => {
  const pages: string[] = [];
  const server = createServer(({ url = '/' }, response) => {
    if (url === '/site.js') {
      response.setHeader('Content-Type', 'text/javascript; charset=utf-8').end(SCRIPT);
      return;
    }
    const page = pages[Number(url.slice(1))];
    response.statusCode = page === undefined ? 404 : 200;
    response.setHeader('Content-Type', 'text/html; charset=utf-8').end(page ?? '');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    page: (host, body = '') => `http://${host}:${port}/${pages.push(documentOf(body)) - 1}`,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
};
