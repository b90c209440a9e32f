// The page around the panes: which nodes are up, the controls, and whether all panes agree.
import { Pane } from './pane.js';

const POLL_MS = 1_000;

const nodeList = document.getElementById('nodes');
const trouble = document.getElementById('trouble');
const agreement = document.getElementById('agreement');

let state;
let panes = [];

const fetchState = async () => {
  const response = await fetch('/state');
  if (!response.ok) throw new Error(`the cluster answers ${response.status}`);
  state = await response.json();
  return state;
};

const post = async (path) => {
  const response = await fetch(path, { method: 'POST', headers: { 'X-Control-Key': state.control_key } });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail ?? answer.code);
};

const control = async (id, action) => {
  try {
    await post(`/control/nodes/${id}/${action}`);
    trouble.textContent = '';
  } catch (error) {
    trouble.textContent = `${action} ${id}: ${error.message}`;
  }
  await refresh();
};

const makeNode = (id) => {
  const row = document.getElementById('node').content.cloneNode(true).firstElementChild;
  row.dataset.id = id;
  row.querySelector('.node-name').textContent = id;
  row.querySelector('button').addEventListener('click', async ({ currentTarget }) => {
    if (currentTarget.getAttribute('aria-disabled') === 'true') return;
    currentTarget.setAttribute('aria-disabled', 'true');
    await control(id, currentTarget.dataset.action);
  });
  nodeList.append(row);
  return row;
};

const showNodes = () => {
  for (const { id, port, state: nodeState } of state.nodes) {
    const row = nodeList.querySelector(`[data-id="${id}"]`) ?? makeNode(id);
    const button = row.querySelector('button');
    row.dataset.state = nodeState;
    row.querySelector('.node-state').textContent = nodeState;
    row.querySelector('.node-port').textContent = `port ${port}`;
    const action = nodeState === 'down' ? 'start' : 'kill';
    button.dataset.action = action;
    button.textContent = action === 'kill' ? 'Kill' : 'Start';
    button.setAttribute('aria-label', `${button.textContent} ${id}`);
    // Not `disabled`, which would take the focus away from whoever pressed it.
    button.setAttribute('aria-disabled', String(nodeState === 'starting'));
  }
};

const refresh = async () => {
  try {
    await fetchState();
    showNodes();
    if (trouble.dataset.kind === 'away') trouble.textContent = '';
    trouble.dataset.kind = '';
  } catch {
    trouble.dataset.kind = 'away';
    trouble.textContent = 'The cluster does not answer: it has been stopped, or is about to start.';
  }
};

/** Picks a pane's own node, or the next one that is up. A client of a real cluster has one address, its balancer's. */
const pickerOf = (home, path) => async (pane) => {
  const { nodes, dialog } = await fetchState();
  showNodes();
  const order = nodes.map((_, i) => nodes[(home + i) % nodes.length]);
  const node = order.find(({ state: nodeState }) => nodeState === 'up');
  if (node === undefined) throw new Error('no node is up');
  pane.setNode(node.id, node === order[0]);
  return `ws://127.0.0.1:${node.port}${path}/${dialog}`;
};

const compare = () => {
  const sets = panes.map(({ messages }) => messages);
  if (sets.some((messages) => messages.size === 0)) {
    const isEmpty = sets.every((messages) => messages.size === 0);
    return isEmpty ? 'No messages yet.' : 'Some panes have nothing yet.';
  }
  // A pane that was opened later has less of the past.
  const from = Math.max(...sets.map((messages) => Math.min(...messages.keys())));
  const head = Math.max(...sets.map((messages) => Math.max(...messages.keys())));
  const behind = panes.flatMap(({ title, messages }) => {
    let missing = 0;
    for (let offset = from; offset <= head; offset += 1) {
      const ids = sets.map((set) => set.get(offset)?.id).filter((id) => id !== undefined);
      if (messages.get(offset)?.id !== ids[0] || ids.length === 0) missing += 1;
    }
    return missing === 0 ? [] : [`${title} lacks ${missing}`];
  });
  const range = from === head ? `offset ${head}` : `offsets ${from} to ${head}`;
  return behind.length === 0 ? `All panes show the same messages, ${range}.` : `${behind.join('; ')}.`;
};

let isComparing = false;
const onChange = () => {
  if (isComparing) return;
  isComparing = true;
  setTimeout(() => {
    isComparing = false;
    const text = compare();
    agreement.dataset.agree = String(text.startsWith('All'));
    if (agreement.textContent !== text) agreement.textContent = text;
  }, 250);
};

const start = async () => {
  while (state === undefined) {
    await refresh();
    if (state === undefined) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  const { tokens } = state;
  const visitor = { token: tokens.visitor, isOperator: false };
  const last = Math.min(2, state.nodes.length - 1);
  panes = [
    new Pane({ ...visitor, title: 'Visitor', pick: pickerOf(0, '/ws/site/dialogs'), onChange }),
    new Pane({
      ...visitor,
      title: 'Visitor, second tab',
      isQuiet: true,
      pick: pickerOf(Math.min(1, last), '/ws/site/dialogs'),
      onChange,
    }),
    new Pane({
      title: 'Operator',
      isOperator: true,
      token: tokens.operator,
      pick: pickerOf(last, '/ws/dialogs'),
      onChange,
    }),
  ];
  document.getElementById('panes').append(...panes.map(({ root }) => root));
  for (const pane of panes) pane.start();
  onChange();
  setInterval(refresh, POLL_MS);
};

await start();
