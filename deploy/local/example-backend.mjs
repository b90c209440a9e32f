// An example backend: a bot that answers visitors through the internal listener. Plain Node, no dependencies.
//
// It registers its assistant and dialog, reads what is said, and answers when the visitor pauses. All that it must remember is in
// the dialog: an answer names in `meta.answers` the message that it answers, and its id is derived from that message. So it
// may be killed at any moment and started again: it repeats nothing and forgets nothing.
import { setTimeout as sleep } from 'node:timers/promises';

const {
  REPLYX_INTERNAL_URLS: urls = 'http://127.0.0.1:9090',
  REPLYX_API_KEY: KEY,
  REPLYX_DIALOG: DIALOG = 'demo',
} = process.env;
const URLS = urls.split(',');
const TENANT = 'demo';
const ASSISTANT = 'demo';
const BOT = { role: 'assistant', id: 'example-bot', name: 'Example bot' };

const POLL_MS = 500;
/** Who is still writing is not interrupted. */
const PAUSE_MS = 1_000;
const THINKING_MS = 800;
const DEADLINE_MS = 5_000;
const PAGE = 100;

// Whoever started us holds an IPC channel; when they are gone, so are we.
process.on('disconnect', () => process.exit(0));

let current = 0;

/** Calls the first node that answers, from the one that did last. Resolves {status, body}; waits as long as none does. */
async function call(method, path, body) {
  for (let failures = 0; ; ) {
    try {
      const response = await fetch(`${URLS[current]}${path}`, {
        method,
        headers: { Authorization: `Bearer ${KEY}`, 'Content-Type': 'application/json' },
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.timeout(DEADLINE_MS),
      });
      const answer = await response.json();
      if (response.status < 500 && response.status !== 429) return { status: response.status, body: answer };
      if (response.status === 429) await sleep(answer.retry_after_ms ?? 1_000);
    } catch {
      // Dead, or too slow: the next one. What got through after all is not repeated, since ids are derived.
    }
    current = (current + 1) % URLS.length;
    failures += 1;
    if (failures % URLS.length === 0) await sleep(POLL_MS);
  }
}

async function expect(status, method, path, body) {
  const answer = await call(method, path, body);
  if (answer.status === status) return answer.body;
  throw new Error(`${method} ${path} answered ${answer.status} ${answer.body.code ?? ''} ${answer.body.detail ?? ''}`);
}

async function register() {
  await expect(200, 'PUT', `/v1/assistants/${ASSISTANT}`, {
    tenant: TENANT,
    allowed_domains: ['localhost', '127.0.0.1'],
  });
  await expect(200, 'PUT', `/v1/dialogs/${DIALOG}`, {
    tenant: TENANT,
    assistant_id: ASSISTANT,
    visitor_id: 'visitor-1',
  });
}

const messages = (query) => call('GET', `/v1/dialogs/${DIALOG}/messages?${new URLSearchParams(query)}`);

/** Where to go on: after the newest message that has been answered, by a bot before us or by an operator. */
async function findPlace() {
  for (let before; ; ) {
    const { status, body } = await messages({ limit: PAGE, ...(before === undefined ? {} : { before }) });
    if (status === 404) {
      await register();
      continue;
    }
    if (status !== 200) throw new Error(`history answered ${status} ${body.code}`);
    for (const { sender, offset, meta } of body.messages.toReversed()) {
      if (sender.role === 'manager') return { epoch: body.epoch, offset };
      if (sender.role === 'assistant' && sender.id === BOT.id)
        return { epoch: body.epoch, offset: meta?.answers ?? offset };
    }
    if (!body.more || body.messages.length === 0) return { epoch: body.epoch, offset: 0 };
    before = body.messages[0].offset;
  }
}

const reply = (texts) => {
  const last = texts.at(-1);
  if (texts.length > 1) return `I read your ${texts.length} messages; the last one is “${last}”.`;
  if (/\b(hello|hi|hey)\b/i.test(last)) return 'Hello! I am a small program in deploy/local/example-backend.mjs.';
  if (/\b(human|operator|person)\b/i.test(last))
    return 'An operator can answer in the pane on the right; I keep quiet then.';
  return `You wrote “${last}”. Kill the node that you are on: nothing of this is lost.`;
};

async function answer({ epoch }, unanswered) {
  const target = unanswered.at(-1);
  const path = `/v1/dialogs/${DIALOG}`;
  await call('POST', `${path}/events`, { type: 'typing', sender: BOT, state: 'start' });
  await sleep(THINKING_MS);
  await expect(201, 'POST', `${path}/messages`, {
    id: `answer-${epoch.slice(0, 32)}-${target.offset}`,
    sender: BOT,
    text: reply(unanswered.map(({ text }) => text.slice(0, 200))),
    meta: { answers: target.offset },
  });
}

async function work() {
  let place = await findPlace();
  /** Of the visitor, after `place`, not answered yet. */
  let unanswered = [];
  let readTo = place.offset;
  let quietSince = Date.now();
  for (;;) {
    const { status, body } = await messages({ after: readTo, limit: PAGE });
    if (status !== 200 || body.epoch !== place.epoch || body.offset < readTo) {
      // Erased, or another copy of the dialog: what was remembered of it is void.
      place = await findPlace();
      unanswered = [];
      readTo = place.offset;
      continue;
    }
    for (const message of body.messages) {
      readTo = message.offset;
      if (message.sender.role === 'user') {
        unanswered.push(message);
        quietSince = Date.now();
      } else if (message.sender.role === 'manager') unanswered = [];
      else if (message.meta?.answers !== undefined)
        unanswered = unanswered.filter(({ offset }) => offset > message.meta.answers);
    }
    if (body.more) continue;
    if (unanswered.length > 0 && Date.now() - quietSince >= PAUSE_MS) {
      await answer(place, unanswered);
      unanswered = [];
    }
    await sleep(POLL_MS);
  }
}

await register();
for (;;) {
  try {
    await work();
  } catch (error) {
    console.error(error.message);
    await sleep(POLL_MS * 4);
  }
}
