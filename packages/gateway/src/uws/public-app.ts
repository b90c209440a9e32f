import { BackplaneUnavailable, type ClientAddress, originOfRequest, parseOrigin } from '@replyx/core';
import type { HttpAnswer } from '../http/http.js';
import { Problem, problemAnswer } from '../http/problem.js';
import { corsHeaders, type JudgeOrigin, type OriginStanding, preflightHeaders } from '../public/cors.js';
import {
  type Endpoint,
  type EventStream,
  type Guards,
  isStream,
  type PublicCall,
  type PublicRequest,
  type PublicRoute,
} from '../public/public-http.js';
import { refusalProblem } from '../public/refusals.js';
import { copyRequest, readAll, writeAnswer } from './http-app.js';
import type { HttpRequest, HttpResponse, TemplatedApp } from './module.js';
import { peerOf, refuseFlood } from './peer.js';
import { SseTransport } from './sse-transport.js';

export interface PublicAppOptions {
  readonly routes: readonly PublicRoute[];
  readonly guards: Guards;
  readonly judgeOrigin: JudgeOrigin;
  readonly widgetOrigins: readonly string[];
  readonly onAnswer: (route: string, status: number) => void;
  /** An answer to a request with an `Origin`, preflights included. */
  readonly onCors: (endpoint: Endpoint, label: string, status: number) => void;
  readonly onBlockedPreflight: (label: string) => void;
  readonly onBug: (error: unknown) => void;
  /** Most time that a request may take, from its head to its answer. */
  readonly deadlineMs: number;
}

/** One path with everything that may be done there; `routes` is empty where nothing may. */
interface Place {
  /** As it is registered; labels metrics. */
  readonly path: string;
  readonly routes: readonly PublicRoute[];
  readonly endpoint: Endpoint;
  readonly kind: PublicRoute['kind'];
  readonly isApi: boolean;
}

const COMMON_HEADERS = {
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
} as const;

const allowOf = ({ routes, isApi }: Place): string =>
  [...routes.map(({ method }) => method.toUpperCase()), ...(isApi ? ['OPTIONS'] : [])].join(', ');

/** A request that is being answered: copied, since the module's own is gone after the handler. */
class Exchange {
  readonly call: Omit<PublicCall, 'body'>;
  readonly standing: OriginStanding;
  readonly #res: HttpResponse;
  readonly #place: Place;
  readonly #options: PublicAppOptions;
  readonly #rawOrigin: string | undefined;
  readonly #timer: NodeJS.Timeout;
  #isOver = false;
  #isGranted: boolean;
  #stream: SseTransport | undefined;

  constructor(res: HttpResponse, req: HttpRequest, address: ClientAddress, place: Place, options: PublicAppOptions) {
    this.#res = res;
    this.#place = place;
    this.#options = options;
    // First of all: without it the peer's going ends the process.
    res.onAborted(() => this.#aborted());
    const copied = copyRequest(req, place.path.split('/:').length - 1);
    const { header, path, method } = copied;
    const host = header('host') || undefined;
    this.#rawOrigin = header('origin');
    const fetchSite = header('sec-fetch-site');
    const origin = originOfRequest({
      origin: this.#rawOrigin,
      fetchSite,
      host,
      widgetOrigins: options.widgetOrigins,
    });
    this.standing = options.judgeOrigin(origin, { kind: place.kind, host });
    this.#isGranted = this.standing.known;
    const peer: PublicRequest = {
      address,
      endpoint: place.endpoint,
      isPreflight: method === 'options',
      path,
      page: { origin, host, fetchSite },
    };
    this.call = { ...copied, peer, origin, host, grantOrigin: () => this.#grant() };
    this.#timer = setTimeout(() => this.refuse(new Problem('unavailable')), options.deadlineMs);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The answer, unless there was one. `close`: ends the connection behind it. */
  answer(answer: HttpAnswer, close = false): void {
    if (this.#isOver) return;
    this.#over();
    this.#tell(answer.status);
    const headers = { ...COMMON_HEADERS, ...answer.headers, ...this.#corsHeaders() };
    writeAnswer(this.#res, { ...answer, headers }, close);
  }

  refuse(problem: Problem, close = true): void {
    const answer = problemAnswer(problem);
    const challenge = answer.status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {};
    this.answer({ ...answer, headers: { ...answer.headers, ...challenge } }, close);
  }

  failed(error: unknown): void {
    if (error instanceof Problem) this.refuse(error, false);
    else if (error instanceof BackplaneUnavailable) this.refuse(new Problem('unavailable'), false);
    else {
      this.#options.onBug(error);
      this.refuse(new Problem('internal'));
    }
  }

  stream({ open, gone }: EventStream): void {
    if (this.#isOver) {
      gone();
      return;
    }
    this.#over();
    this.#tell(200);
    const transport = new SseTransport(this.#res, {
      'Content-Type': 'text/event-stream; charset=utf-8',
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      // A proxy that gathered the answer would hold every frame back.
      'X-Accel-Buffering': 'no',
      ...COMMON_HEADERS,
      ...this.#corsHeaders(),
    });
    this.#stream = transport;
    const session = open(transport);
    transport.attach({
      onDrained: () => session.onDrained(),
      onEnded: () => session.onClosed(),
      onBug: this.#options.onBug,
    });
    // It may have been refused while it was opened.
    if (!transport.isOpen) session.onClosed();
  }

  #grant(): void {
    if (this.#rawOrigin !== undefined && parseOrigin(this.#rawOrigin) !== undefined) this.#isGranted = true;
  }

  #corsHeaders(): Record<string, string> {
    const { credentials } = this.standing;
    return this.#place.isApi ? corsHeaders(this.#rawOrigin, { granted: this.#isGranted, credentials }) : {};
  }

  #tell(status: number): void {
    const { onAnswer, onCors } = this.#options;
    onAnswer(this.#place.path, status);
    if (this.#place.isApi && this.#rawOrigin !== undefined) onCors(this.#place.endpoint, this.standing.label, status);
  }

  #over(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  #aborted(): void {
    this.#over();
    try {
      this.#stream?.aborted();
    } catch (error) {
      this.#options.onBug(error);
    }
  }
}

/** What a preflight is told: nothing of an origin that is not known. */
const preflight = (exchange: Exchange, place: Place, options: PublicAppOptions): HttpAnswer => {
  const headers = { Allow: allowOf(place) };
  const isAsked = exchange.call.header('access-control-request-method') !== undefined;
  if (exchange.call.origin === undefined || !isAsked) return { status: 204, type: '', body: '', headers };
  if (!exchange.standing.known) {
    options.onBlockedPreflight(exchange.standing.label);
    return problemAnswer(new Problem('forbidden_domain'));
  }
  return { status: 204, type: '', body: '', headers: { ...headers, ...preflightHeaders(allowOf(place)) } };
};

/** Answers one request. The body is taken from the first moment, since what comes unasked is lost. */
const handle = (res: HttpResponse, req: HttpRequest, place: Place, options: PublicAppOptions): void => {
  const peer = peerOf(res, req);
  if (peer === undefined) {
    res.close();
    return;
  }
  const greeting = options.guards.greet(peer);
  if (greeting.greeting === 'refuse') {
    const { refusal } = greeting;
    options.onAnswer(place.path, refusal.status);
    if (refusal.status === 503) writeAnswer(res, problemAnswer(new Problem('unavailable')), true);
    else refuseFlood(res, refusal);
    return;
  }
  const exchange = new Exchange(res, req, greeting.address, place, options);
  const { call } = exchange;
  const isPreflight = place.isApi && call.method === 'options';
  const route = isPreflight ? undefined : place.routes.find(({ method }) => method === call.method);
  if (route === undefined && !isPreflight) {
    exchange.answer(place.routes.length > 0 ? methodNotAllowed(place) : problemAnswer(new Problem('not_found')), true);
    return;
  }
  const body =
    route?.method === 'post'
      ? new Promise<Uint8Array | undefined>((resolve) => readAll(res, route.maxBodyBytes ?? 0, resolve))
      : Promise.resolve(new Uint8Array());
  const run = async (): Promise<void> => {
    const limited = await options.guards.limit(call.peer);
    if (exchange.isOver) return;
    if (limited !== undefined) {
      exchange.refuse(refusalProblem(limited));
      return;
    }
    if (route === undefined) {
      exchange.answer(preflight(exchange, place, options));
      return;
    }
    const whole = await body;
    if (whole === undefined) {
      exchange.refuse(new Problem('too_large'));
      return;
    }
    const answer = await route.handle({ ...call, body: whole });
    if (isStream(answer)) exchange.stream(answer);
    else exchange.answer(answer);
  };
  run().catch((error: unknown) => exchange.failed(error));
};

/** No code of the contract is about methods: the status and `Allow` say it. */
const methodNotAllowed = (place: Place): HttpAnswer => ({
  status: 405,
  type: 'application/problem+json',
  body: JSON.stringify({
    type: 'about:blank',
    title: 'The method is not one of this route.',
    status: 405,
    code: 'bad_frame',
    temporary: false,
  }),
  headers: { Allow: allowOf(place) },
});

const placesOf = (routes: readonly PublicRoute[]): Place[] => {
  const byPath = new Map<string, PublicRoute[]>();
  for (const route of routes) byPath.set(route.path, [...(byPath.get(route.path) ?? []), route]);
  return [...byPath].map(([path, here]) => ({
    path,
    routes: here,
    endpoint: here[0]?.endpoint ?? 'other',
    kind: here[0]?.kind,
    isApi: path.startsWith('/api/'),
  }));
};

/** Puts the public routes on an app, a preflight on all of `/api`, and a 404 on everything else. */
export const servePublic = (app: TemplatedApp, options: PublicAppOptions): void => {
  const nowhere = { routes: [], endpoint: 'other', kind: undefined } as const;
  const places: Place[] = [
    ...placesOf(options.routes),
    { ...nowhere, path: '/api/*', isApi: true },
    { ...nowhere, path: '/*', isApi: false },
  ];
  for (const place of places) {
    app.any(place.path, (res, req) => {
      // A throw in a handler ends the process.
      try {
        handle(res, req, place, options);
      } catch (error) {
        options.onBug(error);
        res.close();
      }
    });
  }
};
