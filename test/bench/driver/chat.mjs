import { percentiles } from './percentiles.mjs';

const TURN_MS = 1;
const SHORTEST_WAIT_MS = 0.1;
const never = new Int32Array(new SharedArrayBuffer(4));

/**
 * Calls again when the next message is due. Timers of Node count whole milliseconds, and several messages at once cost a server less
 * than one after the other, as they come from people: shorter waits block this thread, which has nothing else to do but to read.
 */
const callAgain = (turn, waitMs) => {
  if (waitMs > TURN_MS) {
    setTimeout(turn, TURN_MS);
    return;
  }
  if (waitMs > SHORTEST_WAIT_MS) Atomics.wait(never, 0, 0, waitMs);
  setImmediate(turn);
};

/** When each message is due, in milliseconds from the start. */
const schedule = ({ rate, burst = 1, spell = Number.POSITIVE_INFINITY, pauseMs = 0 }) => {
  const stepMs = 1000 / rate;
  return (index) => {
    const spells = Math.floor(index / spell);
    const within = spells === 0 ? index : index - spells * spell;
    const before = spells === 0 ? 0 : spells * (spell * stepMs + pauseMs);
    return before + Math.floor(within / burst) * burst * stepMs;
  };
};

/**
 * Sends `total` messages at a fixed rate whatever the server does, each publisher in its turn, and waits for what is still to come.
 * `burst`: so many at once, at the same rate in the long run; `spell`: a pause of `pauseMs` after so many. A message's latency
 * counts from the time at which it was due, not from that at which it was sent: a driver that stalls must not hide a wait.
 */
export const chat = async (wires, dialect, plan, firstId) => {
  const { total, text, deliveries, patienceMs = 20_000 } = plan;
  const publishers = wires.filter(({ target }) => target.publishes);
  const expected = total * deliveries;
  const latencies = new Float64Array(expected);
  /** How many of its deliveries each message has had: one that came twice does not stand for one that was lost. */
  const arrived = new Uint16Array(total);
  const offsetMs = schedule(plan);
  const startedMs = performance.now();
  const dueMs = (index) => startedMs + offsetMs(index);
  let received = 0;
  let repeated = 0;
  let lastMs = startedMs;
  for (const wire of wires) {
    wire.onText = (bytes, start, end) => {
      const id = dialect.idOf(bytes, start, end);
      if (id === -1) {
        dialect.hear(wire, wire.target, bytes, start, end, () => {});
        return;
      }
      const index = id - firstId;
      if (index < 0 || index >= total) return;
      if (arrived[index] === deliveries) {
        repeated += 1;
        return;
      }
      arrived[index] += 1;
      lastMs = performance.now();
      latencies[received++] = lastMs - dueMs(index);
    };
  }
  let sent = 0;
  let latestMs = 0;
  await new Promise((resolve) => {
    const turn = () => {
      const nowMs = performance.now();
      while (sent < total && dueMs(sent) <= nowMs) {
        latestMs = Math.max(latestMs, nowMs - dueMs(sent));
        const wire = publishers[sent % publishers.length];
        wire.send(dialect.encode(wire.target, firstId + sent, text));
        sent += 1;
      }
      if (sent < total) callAgain(turn, dueMs(sent) - performance.now());
      else resolve();
    };
    turn();
  });
  const deadlineMs = performance.now() + patienceMs;
  while (received < expected && performance.now() < deadlineMs) await new Promise((resolve) => setTimeout(resolve, 5));
  return {
    sent,
    received,
    expected,
    repeated,
    seconds: (lastMs - startedMs) / 1000,
    /** How far the driver itself fell behind its plan. */
    behindMs: latestMs,
    ...percentiles(latencies.subarray(0, received)),
  };
};
