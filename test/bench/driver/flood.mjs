import { connect } from 'node:net';
import { percentiles } from './percentiles.mjs';

const PATIENCE_MS = 10_000;

/** What became of a request: `429` for an HTTP status, `close 4002` for an upgrade that was closed, `reset` for none of these. */
const outcomeOf = (answer) => {
  if (answer.length < 12) return 'reset';
  const status = answer.latin1Slice(9, 12);
  if (status !== '101') return status;
  let at = answer.indexOf('\r\n\r\n') + 4;
  // Frames of a server: short ones here, unmasked.
  while (at >= 4 && answer.length >= at + 4) {
    const length = answer[at + 1] & 0x7f;
    if ((answer[at] & 0x0f) === 8) return `close ${answer.readUInt16BE(at + 2)}`;
    at += length === 126 ? 4 + answer.readUInt16BE(at + 2) : 2 + length;
  }
  return '101';
};

const isOver = (answer) => outcomeOf(answer).startsWith('close');

const attempt = (port, localAddress, request) =>
  new Promise((resolve) => {
    let answer = Buffer.alloc(0);
    const socket = connect({ host: '127.0.0.1', port, localAddress });
    socket.setTimeout(PATIENCE_MS, () => socket.destroy());
    socket.on('error', () => {});
    socket.once('connect', () => socket.write(request));
    socket.on('data', (chunk) => {
      answer = answer.length === 0 ? chunk : Buffer.concat([answer, chunk]);
      if (answer.latin1Slice(9, 12) === '101' && isOver(answer)) socket.destroy();
    });
    socket.once('close', () => resolve(outcomeOf(answer)));
  });

/** Attempts from each network so far: the next flood goes on where the last one ended. */
const made = new Map();

/**
 * The same request over and over, `concurrency` at a time, until `count` attempts or `seconds` are over. Source addresses are those of
 * 127.`second`.0.0/16, the next one after so many attempts, of `addresses` in turn.
 */
export const flood = async ({ ports, request, second, addresses, perAddress = 1, count, seconds, concurrency }) => {
  const outcomes = {};
  const endMs = seconds === undefined ? Number.POSITIVE_INFINITY : performance.now() + seconds * 1000;
  const most = count ?? Number.POSITIVE_INFINITY;
  const tookMs = [];
  const startedMs = performance.now();
  const earlier = made.get(second) ?? 0;
  let begun = 0;
  const worker = async () => {
    while (begun < most && performance.now() < endMs) {
      const index = begun++;
      const host = Math.floor((earlier + index) / perAddress) % addresses;
      const localAddress = `127.${second}.${host >> 8}.${host & 255}`;
      const atMs = performance.now();
      const outcome = await attempt(ports[index % ports.length], localAddress, request);
      tookMs.push(performance.now() - atMs);
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  made.set(second, earlier + begun);
  return {
    attempts: begun,
    outcomes,
    seconds: (performance.now() - startedMs) / 1000,
    ...percentiles(new Float64Array(tookMs)),
  };
};
