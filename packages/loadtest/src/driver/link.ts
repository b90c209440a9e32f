import type { ClientRequest, IncomingMessage } from 'node:http';
import { SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX } from '@replyx/protocol';
import { type ClientOptions, type RawData, WebSocket } from 'ws';
import type { Client } from './client.js';

export interface LinkOwner {
  received(link: Link, bytes: Buffer): void;
  ended(link: Link, code: number): void;
}

export interface LinkOptions {
  readonly origin: string | undefined;
  readonly localAddress: string | undefined;
  readonly insecure: boolean;
}

/** The listeners are shared by all sockets and find what they need on the socket: none holds a closure. */
function onMessage(this: WebSocket, data: RawData): void {
  const link = this as Link;
  link.owner.received(link, data as Buffer);
}

function onClose(this: WebSocket, code: number): void {
  const link = this as Link;
  link.owner.ended(link, code);
}

function onError(this: WebSocket, error: NodeJS.ErrnoException): void {
  const link = this as Link;
  // The status of a refusal says it; the error that follows is about our own giving up.
  if (link.refusedWith === undefined && !link.leaving) link.failedWith ??= error.code ?? 'error';
}

function onRefusal(this: WebSocket, _request: ClientRequest, response: IncomingMessage): void {
  const link = this as Link;
  link.refusedWith = response.statusCode ?? 0;
  link.terminate();
}

/** The mask only protects proxies from pages; zeros spare the driver the work and cost the server the same. */
const noMask = (): void => {};

/** One connection of a client. */
export class Link extends WebSocket {
  readonly client: Client;
  readonly owner: LinkOwner;
  /** HTTP status of a refused upgrade. */
  refusedWith: number | undefined;
  /** Name of a network error. */
  failedWith: string | undefined;
  joined = false;
  /** Ended by us on purpose. */
  leaving = false;

  constructor(owner: LinkOwner, client: Client, url: string, token: string, options: LinkOptions) {
    const settings: ClientOptions & { localAddress?: string; family?: number } = {
      perMessageDeflate: false,
      skipUTF8Validation: true,
      generateMask: noMask,
      followRedirects: false,
    };
    if (options.origin !== undefined) settings.origin = options.origin;
    if (options.localAddress !== undefined) settings.localAddress = options.localAddress;
    if (options.insecure) settings.rejectUnauthorized = false;
    super(url, [SUBPROTOCOL, `${TOKEN_SUBPROTOCOL_PREFIX}${token}`], settings);
    this.client = client;
    this.owner = owner;
    this.on('message', onMessage);
    this.on('close', onClose);
    this.on('error', onError);
    this.on('unexpected-response', onRefusal);
  }
}
