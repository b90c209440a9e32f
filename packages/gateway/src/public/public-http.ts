import type { ClientAddress, Session, Transport } from '@replyx/core';
import type { VisitorKind } from '@replyx/protocol';
import type { PeerRequest } from '../admission/client-addresses.js';
import type { PageRequest } from '../admission/foreign-origin.js';
import type { Greeting } from '../admission/greeting.js';
import type { HttpAnswer, HttpCall } from '../http/http.js';
import type { RouteDescription } from '../http/route-table.js';

/** What a request is for; `other` is what no route is for. A fixed set: it labels metrics. */
export type Endpoint = 'page' | 'asset' | 'sessions' | 'messages' | 'events' | 'other';

/** What is known of a request before anything dear is done for it. */
export interface PublicRequest {
  readonly address: ClientAddress;
  readonly endpoint: Endpoint;
  /** Whether it only asks what a browser may send (`OPTIONS`). */
  readonly isPreflight: boolean;
  readonly path: string;
  readonly page: PageRequest;
}

/** A refusal by what was counted; `reason` is for metrics and logs, the peer is told the status alone. */
export interface Refusal {
  readonly status: 403 | 429 | 503;
  readonly reason: string;
  /** Coarse and jittered. */
  readonly retryAfterMs?: number | undefined;
}

/** What keeps a flood away. Asked for every request. */
export interface Guards {
  /** At once, from this node's own state, before anything else of the request is read. */
  greet(peer: PeerRequest): Greeting;
  /** By what the cluster counts; settles within a deadline of its own. */
  limit(request: PublicRequest): Promise<Refusal | undefined>;
}

/** A request of the public listener as handlers see it: bounded, complete, and still valid after an await. */
export interface PublicCall extends Omit<HttpCall, 'gone'> {
  readonly peer: PublicRequest;
  /** By `originOfRequest`; what the one origin rule is asked with. */
  readonly origin: string | undefined;
  readonly host: string | undefined;
  /** The credential allows the origin: its page may read the answer, whatever that is. */
  grantOrigin(): void;
}

/** An answer that goes on: a stream of events. One of the two is called, once. */
export interface EventStream {
  /** The stream has begun; the caller tells the session when the peer goes. */
  readonly open: (transport: Transport) => Session;
  /** The peer went before. */
  readonly gone: () => void;
}

export const isStream = (answer: HttpAnswer | EventStream): answer is EventStream => 'open' in answer;

/** A route of the public listener, without its handler. */
export interface PublicRouteDescription extends RouteDescription {
  readonly method: 'get' | 'post';
  readonly endpoint: Endpoint;
  /** Under `/api`: whose origins may use it. */
  readonly kind?: VisitorKind;
  readonly maxBodyBytes?: number;
}

export interface PublicRoute extends PublicRouteDescription {
  handle(call: PublicCall): Promise<HttpAnswer | EventStream> | HttpAnswer;
}
