import type * as uWebSockets from 'uWebSockets.js';
import { createRequire } from 'node:module';

// A token and a site's cookies together pass 4,096 bytes; without this they fail or not by how the packets were cut.
// Read when the module loads.
process.env['UWS_HTTP_MAX_HEADERS_SIZE'] ??= '16384';

/** The native module. Loaded by `require`: its ESM wrapper leaves out part of the exports. */
export const uws = createRequire(import.meta.url)('uWebSockets.js') as typeof uWebSockets & {
  readonly LIBUS_LISTEN_EXCLUSIVE_PORT: number;
};

export type { HttpRequest, HttpResponse, TemplatedApp, us_listen_socket, WebSocket } from 'uWebSockets.js';
