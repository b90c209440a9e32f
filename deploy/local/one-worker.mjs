// One worker answers a dialog: run as many of these as you like, on as many machines. Plain Node, no dependencies.
//
// Each tries to lock the dialog; the one that has the lock answers, the others wait for it. The lock alone protects nothing: this
// process may stand still for a minute between any two lines, and another has the lock by then. So every write carries the lock's
// fence, and the gateway refuses an older one than it has seen (`stale_fence`).
//
//   REPLYX_INTERNAL_URLS=http://127.0.0.1:9090 REPLYX_API_KEY=… REPLYX_DIALOG=demo node one-worker.mjs worker-1
import { setTimeout as sleep } from 'node:timers/promises';

const {
  REPLYX_INTERNAL_URLS: urls = 'http://127.0.0.1:9090',
  REPLYX_API_KEY: KEY,
  REPLYX_DIALOG: DIALOG = 'demo',
  REPLYX_LOCK_TTL_MS: ttl = '5000',
} = process.env;
const URLS = urls.split(',');
const WORKER = process.argv[2] ?? `worker-${process.pid}`;
const PATH = `/v1/dialogs/${DIALOG}`;
const BOT = { role: 'assistant', id: 'one-worker', name: 'Bot' };

const TTL_MS = Number(ttl);
const WAIT_MS = 10_000;
const POLL_MS = 200;
const DEADLINE_MS = 2_000;
const PAGE = 100;

// Whoever started us holds an IPC channel; when they are gone, so are we.
process.on('disconnect', () => process.exit(0));

let current = 0;

/** Calls one node, the next one after a failure. Resolves {status, body}, or {status: 0} where none answered in time. */
async function call(method, path, body, deadlineMs = DEADLINE_MS) {
  try {
    const response = await fetch(`${URLS[current]}${path}`, {
      method,
      headers: { Authorization: `Bearer ${KEY}`, 'Content-Type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(Math.max(1, deadlineMs)),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? {} : JSON.parse(text) };
  } catch {
    current = (current + 1) % URLS.length;
    return { status: 0, body: {} };
  }
}

/**
 * Renews the lock until it is lost or `signal` is aborted; then aborts `lost`. What a renewal promises counts from the moment when it
 * was asked for: the answer may have been under way for long.
 */
async function keep(lock, takenMs, lost, signal) {
  let untilMs = takenMs + lock.expires_in_ms;
  while (!signal.aborted) {
    await sleep(TTL_MS / 3, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    const askedMs = performance.now();
    const { status, body } = await call('PUT', `${PATH}/lock/${lock.lock_id}`, { ttl_ms: TTL_MS }, untilMs - askedMs);
    if (status === 200) untilMs = askedMs + body.expires_in_ms;
    else if (status === 409 || performance.now() >= untilMs) return lost.abort();
  }
}

/** The visitor's messages that nobody has answered, and where they lie. All that a worker must know is in the dialog. */
async function unanswered() {
  const { status, body } = await call('GET', `${PATH}/messages?limit=${PAGE}`);
  if (status !== 200) return undefined;
  const { messages, epoch } = body;
  const answered = messages.findLast(({ sender }) => sender.role !== 'user')?.meta?.answers ?? 0;
  return { epoch, open: messages.filter(({ sender, offset }) => sender.role === 'user' && offset > answered) };
}

/** Answers until the lock is lost. */
async function answer(lock, signal) {
  while (!signal.aborted) {
    const found = await unanswered();
    const target = found?.open.at(-1);
    if (target !== undefined && !signal.aborted) {
      const { status, body } = await call('POST', `${PATH}/messages`, {
        // Derived from what it answers: a retry, by whichever worker, is no second answer.
        id: `answer-${found.epoch.slice(0, 32)}-${target.offset}`,
        sender: BOT,
        text: `${WORKER} answers: ${target.text.slice(0, 200)}`,
        meta: { answers: target.offset, worker: WORKER },
        fence: lock.fence,
      });
      if (status === 201) console.log(`answered ${target.offset} fence=${lock.fence}`);
      else console.log(`refused ${target.offset} ${body.code ?? 'no answer'}`);
      // Another has written since: this lock is long lost.
      if (body.code === 'stale_fence') return;
    }
    await sleep(POLL_MS, undefined, { signal }).catch(() => {});
  }
}

const ended = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => ended.abort());

while (!ended.signal.aborted) {
  const askedMs = performance.now();
  const wanted = { owner: WORKER, ttl_ms: TTL_MS, wait_ms: WAIT_MS };
  const { status, body: lock } = await call('POST', `${PATH}/lock`, wanted, WAIT_MS + DEADLINE_MS);
  if (status !== 201) {
    if (status !== 409) await sleep(POLL_MS);
    continue;
  }
  const tookMs = performance.now() - askedMs;
  console.log(`locked fence=${lock.fence} after ${tookMs.toFixed(0)} ms`);
  const lost = new AbortController();
  const done = new AbortController();
  ended.signal.addEventListener('abort', () => lost.abort(), { signal: done.signal });
  // Late by the way of the answer. A lock is no promise to us anyway: the fence is one to the dialog.
  const keeping = keep(lock, performance.now(), lost, done.signal);
  await answer(lock, lost.signal);
  done.abort();
  await keeping;
  await call('DELETE', `${PATH}/lock/${lock.lock_id}`);
  console.log('unlocked');
}
