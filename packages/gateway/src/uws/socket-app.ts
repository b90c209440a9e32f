import { type ClientAddress, disconnectFrame, Session, type SessionHost } from '@replyx/core';
import { BOUNDS, CLOSE_CODES, type CloseName, type ConnectionKind, WS_ROUTES } from '@replyx/protocol';
import type { Admitted, Screening, UpgradeRequest, Verdict } from '../admission/admission.js';
import type { PeerRequest } from '../admission/client-addresses.js';
import type { FloodRefusal, Greeting } from '../admission/greeting.js';
import type { TokenPick } from '../auth/token-transport.js';
import { Problem, problemAnswer } from '../http/problem.js';
import { EarlyFrames } from './early-frames.js';
import { writeAnswer } from './http-app.js';
import { type HttpRequest, type HttpResponse, type TemplatedApp, uws } from './module.js';
import { peerOf, refuseFlood } from './peer.js';
import { SocketTransport } from './socket-transport.js';

export interface SocketAppOptions {
  readonly host: SessionHost;
  /** Looks at where a request comes from, before anything else of it is read. */
  readonly greet: (peer: PeerRequest) => Greeting;
  readonly screen: (request: UpgradeRequest) => Screening;
  readonly admit: (request: UpgradeRequest, picked: TokenPick) => Promise<Verdict>;
  readonly join: (session: Session, admitted: Admitted) => void;
  readonly onVerdict: (
    kind: ConnectionKind,
    verdict: FloodRefusal | Screening | Verdict | 'gone',
    request?: UpgradeRequest,
  ) => void;
  readonly onBug: (error: unknown) => void;
  readonly outboxMaxBytes: number;
  /** A socket from which nothing came for so long is cut. */
  readonly pongTimeoutMs: number;
  /** Most time that a decision may take. */
  readonly admitDeadlineMs: number;
}

/** What hangs on a socket: first the request that opened it, then its session. */
interface SocketData {
  admission: Admission | undefined;
  session: Session | undefined;
  transport: SocketTransport<SocketData> | undefined;
}

interface Admission {
  readonly request: UpgradeRequest;
  readonly token: TokenPick;
  readonly early: EarlyFrames;
}

/** Room for the close frame and one frame more: past this limit a frame is dropped, the last words included. */
const SPARE_BYTES = 262_144;

const TIMEOUT_STEP_SECONDS = 4;
const MAX_TIMEOUT_SECONDS = 960;

/** The module counts timeouts in steps of 4 s and may be a step early: one is added, so that it is late instead. */
const idleTimeoutSeconds = (ms: number): number =>
  Math.min(Math.round(ms / 1000) + TIMEOUT_STEP_SECONDS, MAX_TIMEOUT_SECONDS);

const decoder = new TextDecoder();

const copyUpgrade = (req: HttpRequest, kind: ConnectionKind, address: ClientAddress): UpgradeRequest => {
  const lines = new Map<string, string>();
  // `getHeader` gives the first of repeated lines only; a second token must be seen.
  req.forEach((name, value) => {
    if (name !== 'authorization' && name !== 'sec-websocket-protocol' && name !== 'origin') return;
    const earlier = lines.get(name);
    lines.set(name, earlier === undefined ? value : `${earlier},${value}`);
  });
  return {
    kind,
    address,
    dialogId: req.getParameter(0) ?? '',
    query: req.getQuery() ?? '',
    version: req.getHeader('sec-websocket-version'),
    protocols: lines.get('sec-websocket-protocol'),
    authorization: lines.get('authorization'),
    origin: lines.get('origin'),
    host: req.getHeader('host') || undefined,
  };
};

const refusal = (status: 404 | 426) => ({
  ...problemAnswer(new Problem(status === 404 ? 'not_found' : 'bad_frame'), status),
  ...(status === 426 ? { headers: { 'Sec-WebSocket-Version': '13' } } : {}),
});

/**
 * Serves the WebSocket routes of the public listener. A request is upgraded in its own handler or refused there; the dearer
 * part of the decision follows on the open socket. A later upgrade is not safe with this version: inside `cork` about one in a
 * hundred is cut (where the socket keeps its address, `cork` takes it for an HTTP response still and reads its
 * connection-close bit from memory that means something else), and outside of it the answer goes out in 25 writes.
 */
export const serveSockets = (app: TemplatedApp, options: SocketAppOptions): void => {
  const { host, onBug, onVerdict } = options;

  /** A throw in a handler ends the process. */
  const guarded =
    <A extends unknown[]>(handler: (...args: A) => void) =>
    (...args: A): void => {
      try {
        handler(...args);
      } catch (error) {
        onBug(error);
      }
    };

  /** Returning with neither an answer nor an abort handler ends the process: a failure here ends the connection instead. */
  const upgrade = (kind: ConnectionKind) => (res: HttpResponse, req: HttpRequest, context: unknown) => {
    try {
      answerUpgrade(kind, res, req, context);
    } catch (error) {
      onBug(error);
      res.close();
    }
  };

  const answerUpgrade = (kind: ConnectionKind, res: HttpResponse, req: HttpRequest, context: unknown): void => {
    const peer = peerOf(res, req);
    if (peer === undefined) {
      onVerdict(kind, 'gone');
      res.close();
      return;
    }
    const greeting = options.greet(peer);
    if (greeting.greeting === 'refuse') {
      onVerdict(kind, greeting.refusal);
      if (greeting.refusal.status === 503) writeAnswer(res, problemAnswer(new Problem('unavailable')), true);
      else refuseFlood(res, greeting.refusal);
      return;
    }
    const request = copyUpgrade(req, kind, greeting.address);
    const screening = options.screen(request);
    if (screening.screening === 'refuse') {
      onVerdict(kind, screening, request);
      writeAnswer(res, refusal(screening.status), true);
      return;
    }
    const { token } = screening;
    const data: SocketData = {
      admission: { request, token, early: new EarlyFrames() },
      session: undefined,
      transport: undefined,
    };
    const key = req.getHeader('sec-websocket-key');
    const extensions = req.getHeader('sec-websocket-extensions');
    res.upgrade(data, key, screening.protocol ?? '', extensions, context as never);
  };

  const refuse = (transport: SocketTransport<SocketData>, code: CloseName, delayMs = 0): void => {
    transport.send(disconnectFrame(code, delayMs));
    transport.end(CLOSE_CODES[code].code, code);
  };

  const decide = (
    data: SocketData,
    { request, token, early }: Admission,
    transport: SocketTransport<SocketData>,
  ): void => {
    const settle = (verdict: Verdict): void => {
      clearTimeout(deadline);
      if (data.admission === undefined) return;
      data.admission = undefined;
      onVerdict(request.kind, transport.isOpen ? verdict : 'gone', request);
      if (!transport.isOpen) return;
      if (verdict.verdict === 'close') {
        refuse(transport, verdict.code, verdict.delayMs);
        return;
      }
      const session = new Session(verdict.admitted.identity, transport, host);
      data.session = session;
      options.join(session, verdict.admitted);
      early.handTo(session);
    };
    const deadline = setTimeout(
      guarded(() => settle({ verdict: 'close', code: 'TRY_AGAIN_LATER', reason: 'deadline' })),
      options.admitDeadlineMs,
    );
    options.admit(request, token).then(guarded(settle), (error: unknown) => {
      onBug(error);
      guarded(settle)({ verdict: 'close', code: 'INTERNAL_ERROR', reason: 'bug' });
    });
  };

  for (const [kind, path] of Object.entries(WS_ROUTES) as [ConnectionKind, string][]) {
    app.ws<SocketData>(path, {
      compression: uws.DISABLED,
      // Twice the contract's bound, so that a frame a little too large can still be answered with its code.
      maxPayloadLength: BOUNDS.frameBytes * 2,
      maxBackpressure: options.outboxMaxBytes + SPARE_BYTES,
      idleTimeout: idleTimeoutSeconds(options.pongTimeoutMs),
      sendPingsAutomatically: false,
      upgrade: upgrade(kind),
      open: guarded((socket) => {
        const data = socket.getUserData();
        const transport = new SocketTransport(socket);
        data.transport = transport;
        if (data.admission !== undefined) decide(data, data.admission, transport);
      }),
      message: guarded((socket, message, isBinary) => {
        const { session, admission, transport } = socket.getUserData();
        // The frame's buffer is taken away when this handler returns.
        const text = isBinary ? undefined : decoder.decode(message);
        if (session !== undefined) {
          if (text === undefined) session.onBinary();
          else session.onText(text, message.byteLength);
        } else {
          const refused = admission?.early.keep(text, message.byteLength);
          if (refused !== undefined && transport !== undefined) refuse(transport, refused);
        }
      }),
      ping: guarded((socket) => socket.getUserData().session?.onPing()),
      drain: guarded((socket) => socket.getUserData().session?.onDrained()),
      close: guarded((socket) => {
        const { session, transport } = socket.getUserData();
        transport?.ended();
        session?.onClosed();
      }),
    });
  }
};
