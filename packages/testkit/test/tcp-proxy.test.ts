import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startProxy, type TcpProxy, until } from '../src/index.js';

let echo: Server;
let proxy: TcpProxy;
const serverSockets = new Set<Socket>();
const open: Socket[] = [];

interface Peer {
  readonly socket: Socket;
  text: string;
  ended: boolean;
  error: string | undefined;
}

function dial(): Peer {
  const socket = connect({ host: proxy.host, port: proxy.port });
  const peer: Peer = { socket, text: '', ended: false, error: undefined };
  socket.setEncoding('utf8').on('data', (text: string) => {
    peer.text += text;
  });
  socket.on('end', () => {
    peer.ended = true;
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    peer.error = error.code;
  });
  open.push(socket);
  return peer;
}

async function echoed(peer: Peer, text: string): Promise<void> {
  const before = peer.text.length;
  peer.socket.write(text);
  await until(() => peer.text.slice(before) === text, { what: `the echo of ${text.slice(0, 20)}` });
}

beforeEach(async () => {
  echo = createServer((socket) => {
    serverSockets.add(socket);
    socket.on('close', () => serverSockets.delete(socket));
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  proxy = await startProxy({ port: (echo.address() as AddressInfo).port });
});

afterEach(async () => {
  await proxy.close();
  for (const socket of open.splice(0)) socket.destroy();
  for (const socket of serverSockets) socket.destroy();
  echo.close();
});

describe('TcpProxy', () => {
  it('passes bytes and ends both ways and counts them', async () => {
    const peer = dial();
    await echoed(peer, 'hello');
    expect([proxy.bytes, proxy.connections(), proxy.accepted]).toEqual([{ up: 5, down: 5 }, 1, 1]);
    peer.socket.end();
    await until(() => peer.ended && proxy.connections() === 0, { what: 'the end to pass' });
  });

  it('passes large data whole', async () => {
    await echoed(dial(), 'x'.repeat(8_000_000));
  });

  it('swallows in a black hole without telling anybody, and delivers everything after healing', async () => {
    const peer = dial();
    await echoed(peer, 'before');
    proxy.blackhole();
    peer.socket.write('during');
    const late = dial();
    await once(late.socket, 'connect');
    late.socket.write('late');
    await until(() => proxy.connections() === 2, { what: 'the second connection' });
    expect([peer.text, late.text, peer.error, late.error, serverSockets.size]).toEqual([
      'before',
      '',
      undefined,
      undefined,
      1,
    ]);
    proxy.heal();
    await until(() => peer.text === 'beforeduring' && late.text === 'late', { what: 'what was held' });
  });

  it('hides the end of a client in a black hole from the server', async () => {
    const peer = dial();
    await echoed(peer, 'x');
    proxy.blackhole('up');
    peer.socket.resetAndDestroy();
    const other = dial();
    await once(other.socket, 'connect');
    expect(serverSockets.size).toBe(1);
    proxy.heal();
    other.socket.destroy();
    await until(() => serverSockets.size === 0, { what: 'the server to learn of the end' });
  });

  it('loses answers only with a black hole on the way down', async () => {
    const peer = dial();
    await echoed(peer, 'x');
    proxy.blackhole('down');
    peer.socket.write('y');
    await until(() => proxy.bytes.up === 2, { what: 'the request to arrive' });
    expect(peer.text).toBe('x');
  });

  it('mutes only the connections that opened with certain bytes, old and new, until it is healed', async () => {
    const [muted, other] = [dial(), dial()];
    await echoed(muted, 'SUBSCRIBE');
    await echoed(other, 'GET');
    proxy.mute((opening) => opening.includes('SUBSCRIBE'));
    const late = dial();
    late.socket.write('SUBSCRIBE');
    muted.socket.write('+');
    await echoed(other, 'GET again');
    await until(() => proxy.bytes.up === 31, { what: 'all requests to arrive' });
    expect([muted.text, late.text, muted.error, late.error]).toEqual(['SUBSCRIBE', '', undefined, undefined]);
    proxy.heal();
    await until(() => muted.text === 'SUBSCRIBE+' && late.text === 'SUBSCRIBE', { what: 'what was held' });
  });

  it('resets connections so that both ends see it', async () => {
    const peer = dial();
    await echoed(peer, 'x');
    proxy.reset();
    await until(() => peer.error === 'ECONNRESET' && serverSockets.size === 0, { what: 'the reset' });
  });

  it('cuts connections without an error', async () => {
    const peer = dial();
    await echoed(peer, 'x');
    proxy.cut();
    await until(() => peer.ended && serverSockets.size === 0, { what: 'the cut' });
    expect(peer.error).toBeUndefined();
  });

  it('refuses new connections, keeps old ones, and accepts again on the same port', async () => {
    const peer = dial();
    await echoed(peer, 'x');
    proxy.refuse();
    const refused = dial();
    await until(() => refused.error === 'ECONNREFUSED', { what: 'the refusal' });
    await echoed(peer, 'y');
    await proxy.accept();
    await echoed(dial(), 'z');
  });

  it('delays each direction', async () => {
    const peer = dial();
    await echoed(peer, 'x');
    proxy.delay(40);
    const started = performance.now();
    await echoed(peer, 'y');
    expect(performance.now() - started).toBeGreaterThanOrEqual(79);
  });

  it('throttles, keeping the order', async () => {
    const peer = dial();
    await echoed(peer, 'x');
    proxy.throttle(100_000, 'down');
    const started = performance.now();
    await echoed(peer, '0123456789'.repeat(2_000));
    expect(performance.now() - started).toBeGreaterThanOrEqual(140);
  });

  it('runs the command, loses its answer and cuts', async () => {
    const peer = dial();
    await echoed(peer, 'x');
    const dropped = proxy.dropReplies(1);
    peer.socket.write('y');
    await until(() => peer.ended, { what: 'the cut' });
    expect([peer.text, dropped(), proxy.bytes.up]).toEqual(['x', 1, 2]);
    await echoed(dial(), 'after');
  });

  it('drops only the answers that a rule names', async () => {
    const peer = dial();
    const dropped = proxy.dropReplies((chunk) => chunk.includes('secret'));
    await echoed(peer, 'plain');
    peer.socket.write('secret');
    await until(() => peer.ended, { what: 'the cut' });
    expect([peer.text, dropped()]).toEqual(['plain', 1]);
  });

  it('resets a client whose server is not there', async () => {
    echo.close();
    const peer = dial();
    await until(() => peer.socket.destroyed, { what: 'the end of the client' });
    expect(peer.error).toBe('ECONNRESET');
  });
});
