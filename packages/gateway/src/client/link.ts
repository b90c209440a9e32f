import type { Clock } from '@replyx/core';
import { type ClientFrame, type ServerFrame, SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX } from '@replyx/protocol';
import { WebSocket } from 'ws';
import type { Ending } from './reconnect.js';
import { readServerFrame } from './server-frame.js';
import { unreachableWords } from './unreachable.js';

export interface LinkOptions {
  readonly address: string;
  readonly token: string;
  readonly origin: string | undefined;
  readonly clock: Pick<Clock, 'monotonicMs' | 'schedule'>;
  readonly onFrame: (frame: ServerFrame) => void;
}

/** One connection of a client to a node. */
export interface Link {
  send(frame: ClientFrame): void;
  /** Closes in order, and cuts the connection when the node does not answer soon. */
  close(): void;
  /** Drops the connection, whose end then tells this reason. */
  cut(why: string): void;
  /** Resolves when it has ended, for whatever reason; never rejects. */
  readonly ended: Promise<Ending>;
}

const CONNECT_MS = 10_000;
const PONG_WAIT_MS = 10_000;
const CLOSE_MS = 1_000;
/** A page of recovered publications comes frame by frame; nothing larger than a frame is due. */
const MAX_FRAME_BYTES = 1_048_576;

export const openLink = ({ address, token, origin, clock, onFrame }: LinkOptions): Link => {
  const openedAtMs = clock.monotonicMs();
  const socket = new WebSocket(address, [SUBPROTOCOL, `${TOKEN_SUBPROTOCOL_PREFIX}${token}`], {
    perMessageDeflate: false,
    handshakeTimeout: CONNECT_MS,
    maxPayload: MAX_FRAME_BYTES,
    ...(origin === undefined ? {} : { origin }),
  });
  let quietMs = CONNECT_MS;
  let asked = false;
  let wasConnected = false;
  let reconnect: Ending['reconnect'];
  let httpStatus: number | undefined;
  let why: string | undefined;
  let cancel = (): void => {};

  const send = (frame: ClientFrame): void => {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
  };

  /** A node that hangs closes nothing: who has heard nothing for long asks once, and then leaves. */
  const watch = (): void => {
    cancel();
    cancel = clock.schedule(asked ? PONG_WAIT_MS : quietMs, () => {
      if (asked || !wasConnected) {
        why ??= 'the node does not answer';
        socket.terminate();
        return;
      }
      asked = true;
      send({ type: 'ping' });
      watch();
    });
  };
  const heard = (): void => {
    asked = false;
    if (socket.readyState === WebSocket.OPEN) watch();
  };

  socket.on('open', watch);
  socket.on('ping', heard);
  socket.on('message', (data, isBinary) => {
    heard();
    const frame = isBinary ? undefined : readServerFrame(String(data));
    if (frame === undefined) return;
    if (frame.type === 'disconnect') {
      reconnect = { mode: frame.reconnect.mode, delayMs: frame.reconnect.delay_ms };
    }
    if (frame.type === 'connected') {
      wasConnected = true;
      if (frame.ping_interval_ms > 0) quietMs = frame.ping_interval_ms;
      watch();
    }
    onFrame(frame);
  });
  socket.on('unexpected-response', (_request, response) => {
    httpStatus = response.statusCode;
    socket.terminate();
  });
  socket.on('error', (error) => {
    // The status of a refusal says it; the error that follows is about our own giving up.
    if (httpStatus === undefined) why ??= unreachableWords(error);
  });
  const ended = new Promise<Ending>((resolve) => {
    socket.once('close', (code) => {
      cancel();
      const livedMs = clock.monotonicMs() - openedAtMs;
      // 1005 and 1006 stand for a close frame without a code, and for none.
      const given = code === 1005 || code === 1006 ? undefined : code;
      resolve({ code: given, reconnect, httpStatus, why, wasConnected, livedMs });
    });
  });
  return {
    send,
    close: () => {
      socket.close(1000);
      cancel();
      cancel = clock.schedule(CLOSE_MS, () => socket.terminate());
    },
    cut: (reason) => {
      why ??= reason;
      socket.terminate();
    },
    ended,
  };
};
