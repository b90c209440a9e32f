// A load driver in a process of its own. Reads a JSON plan from standard input, prints one JSON line a step, and goes on when
// the next line tells it so: the parent reads the servers' CPU between the steps.
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';

const say = (value) => console.log(JSON.stringify(value));
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const told = () => lines.next();
const plan = JSON.parse((await lines.next()).value);

/** One socket a URL; a few dozen handshakes at once. */
const connectAll = async (targets, onMessage) => {
  const sockets = [];
  let next = 0;
  const worker = async () => {
    while (next < targets.length) {
      const index = next++;
      const { url, token, localAddress } = targets[index];
      const socket = new WebSocket(url, token === undefined ? [] : ['replyx.v1', `replyx.token.${token}`], {
        perMessageDeflate: false,
        origin: 'https://customer.example',
        ...(localAddress === undefined ? {} : { localAddress }),
      });
      sockets[index] = socket;
      await new Promise((resolve, reject) => {
        socket.on('error', reject);
        socket.on('close', (code) => reject(new Error(`closed with ${code}`)));
        // Ours says when it is ready; the bare server is as soon as it is open.
        if (token === undefined) socket.once('open', resolve);
        else socket.once('message', resolve);
      });
      socket.removeAllListeners('close');
      socket.on('message', (bytes) => onMessage(index, bytes));
    }
  };
  await Promise.all(Array.from({ length: 50 }, worker));
  return sockets;
};

const percentile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];

const dialogs = async ({ pairs, rate, seconds, text }) => {
  const sentAt = new Map();
  const latencies = [];
  let received = 0;
  const mark = Buffer.from('"id":"');
  const sockets = await connectAll(pairs.flat(), (_index, bytes) => {
    if (bytes.includes('"type":"ack"', 0)) return;
    const at = bytes.indexOf(mark);
    if (at === -1 || !bytes.includes('"type":"message"')) return;
    const id = bytes.toString('latin1', at + mark.length, bytes.indexOf(0x22, at + mark.length));
    const started = sentAt.get(id);
    if (started === undefined) return;
    received += 1;
    latencies.push(performance.now() - started);
  });
  say({ ready: true });
  await told();
  const total = rate * seconds;
  const started = performance.now();
  let sent = 0;
  await new Promise((resolve) => {
    const turn = () => {
      const now = performance.now();
      const due = Math.min(total, Math.floor(((now - started) * rate) / 1000));
      for (; sent < due; sent += 1) {
        const id = `m${sent}`;
        // The time at which it was due, not at which it was sent: a stalled driver must not hide a wait.
        sentAt.set(id, started + (sent * 1000) / rate);
        sockets[sent % sockets.length].send(`{"type":"message","id":"${id}","text":"${text}"}`);
      }
      if (sent < total) setTimeout(turn, 1);
      else resolve();
    };
    turn();
  });
  const deadline = performance.now() + 20_000;
  while (received < total * 2 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
  latencies.sort((a, b) => a - b);
  say({ sent, received, expected: total * 2, p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) });
};

const idle = async ({ targets }) => {
  await connectAll(targets, () => {});
  say({ ready: true });
  await told();
  say({ done: true });
};

await { dialogs, idle }[plan.scenario](plan);
process.exit(0);
