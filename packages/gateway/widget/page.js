// The hosted page: a secret of its own, a session for it, and the dialog's socket. What comes in is shown as text, never as markup.

import { DialogClient } from './client.js';

const SECRET_BYTES = 32;
/** A token is replaced a little before it ends. */
const MARGIN_MS = 30_000;

const assistant = location.pathname.split('/').at(-1);
const stateLine = document.getElementById('state');
const trouble = document.getElementById('trouble');
const list = document.getElementById('messages');
const form = document.getElementById('form');

// ── the visitor's secret ──────────────────────────────────────────────────────────────────────────────────────────────

const newSecret = () => {
  const bytes = crypto.getRandomValues(new Uint8Array(SECRET_BYTES));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
};

// Storage of a framed page may be blocked: the dialog then lasts as long as the page.
const keptSecret = () => {
  const name = `replyx.secret.${assistant}`;
  const made = newSecret();
  try {
    const kept = localStorage.getItem(name);
    if (kept) return kept;
    localStorage.setItem(name, made);
    // Another frame of this page may have been first.
    return localStorage.getItem(name) ?? made;
  } catch {
    return made;
  }
};

const secret = keptSecret();

// ── the site token ────────────────────────────────────────────────────────────────────────────────────────────────────

let siteToken = new URLSearchParams(location.hash.slice(1)).get('token') ?? undefined;
let refusedToken;
let wake = () => {};

// The page that holds this one may bring a newer token. Which page that may be, `frame-ancestors` has decided.
addEventListener('message', ({ source, data }) => {
  if (source !== parent || source === window || data?.type !== 'replyx.token' || typeof data.token !== 'string') return;
  siteToken = data.token;
  wake();
});

const usableToken = async () => {
  while (siteToken === undefined || siteToken === refusedToken) {
    stateLine.textContent = 'Waiting for the page that holds this one.';
    await new Promise((resolve) => {
      wake = resolve;
    });
  }
  trouble.textContent = '';
  return siteToken;
};

// ── the session ───────────────────────────────────────────────────────────────────────────────────────────────────────

let session;

/** A visitor token and its dialog. Throws where it is worth another try; waits for another site token where it is not. */
const openSession = async () => {
  if (session && performance.now() < session.endsAtMs - MARGIN_MS) return session;
  for (;;) {
    const token = await usableToken();
    const response = await fetch('/api/widget/sessions', {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ secret }),
    });
    const body = await response.json();
    if (response.ok) {
      session = { ...body, endsAtMs: performance.now() + body.expires_in * 1_000 };
      return session;
    }
    if (body.temporary) throw new Error(body.title);
    refusedToken = token;
    trouble.textContent = `${body.title} (${body.code})`;
  }
};

const client = new DialogClient({
  address: async () => {
    const { dialog_id: dialogId } = await openSession();
    return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws/widget/dialogs/${dialogId}`;
  },
  token: async () => (await openSession()).token,
});

// ── what is shown ─────────────────────────────────────────────────────────────────────────────────────────────────────

const rows = new Map();

const show = ({ offset, sender, text }) => {
  if (rows.has(offset)) return;
  const row = document.createElement('li');
  row.value = offset;
  row.textContent = `${sender.name ?? sender.role}: ${text}`;
  rows.set(offset, row);
  // History may come after what is live.
  const next = [...rows.keys()].filter((other) => other > offset);
  list.insertBefore(row, next.length === 0 ? null : rows.get(Math.min(...next)));
  row.scrollIntoView({ block: 'nearest' });
};

client.addEventListener('publication', ({ detail }) => show(detail.frame));
client.addEventListener('reset', () => {
  rows.clear();
  list.replaceChildren();
});
client.addEventListener('state', ({ detail }) => {
  stateLine.textContent = detail.reason ? `${detail.state}: ${detail.reason}` : detail.state;
  // The node may have ended it before the token did: ask for a new one.
  if (detail.reason === 'AUTH_EXPIRED') session = undefined;
});

form.addEventListener('submit', (event) => {
  event.preventDefault();
  const { text } = form.elements;
  const { value } = text;
  if (value.trim() === '') return;
  text.value = '';
  client.publish('message', value).catch((error) => {
    trouble.textContent = error.message;
    if (text.value === '') text.value = value;
  });
});

client.start();
