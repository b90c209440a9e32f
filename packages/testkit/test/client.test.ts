import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { connect, dial, internalApi, upgradeStatus } from '../src/index.js';

const connected = { type: 'connected', epoch: 'e', offset: 0, recovered: false };
let http: Server;
let base: string;
let offered: string[] = [];
let lastUrl = '';

function serve(socket: WebSocket, path: string): void {
  const say = (frame: object): void => socket.send(JSON.stringify(frame));
  if (path.startsWith('/refused')) {
    say({ type: 'disconnect', code: 4003, reason: 'forbidden_domain' });
    socket.close(4003, 'forbidden_domain');
    return;
  }
  say(connected);
  socket.on('message', (data) => {
    const frame = JSON.parse(data.toString()) as { id: string; text: string };
    say({ type: 'message', offset: 1, id: frame.id, text: frame.text, sender: { role: 'user', id: 'v' } });
    say({ type: 'ack', id: frame.id, offset: 1 });
  });
}

beforeAll(async () => {
  http = createServer((request, response) => {
    response.setHeader('content-type', 'application/problem+json');
    response.statusCode = 404;
    response.end(JSON.stringify({ code: 'not_found', key: request.headers.authorization }));
  });
  const server = new WebSocketServer({ noServer: true, handleProtocols: (names) => [...names][0] ?? false });
  http.on('upgrade', (request, socket, head) => {
    offered = (request.headers['sec-websocket-protocol'] ?? '').split(',');
    lastUrl = request.url ?? '';
    if (lastUrl.startsWith('/flood')) {
      socket.end('HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    server.handleUpgrade(request, socket, head, (client) => serve(client, lastUrl));
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  base = `127.0.0.1:${(http.address() as AddressInfo).port}`;
});

afterAll(() => {
  http.closeAllConnections();
  http.close();
});

describe('the test client', () => {
  it('connects, publishes, follows its position and closes', async () => {
    const client = await connect({
      url: `ws://${base}/ws/dialogs/d`,
      token: 'jwt',
      clientId: 'tab',
      position: { epoch: 'e', offset: 0 },
    });
    expect(offered).toEqual(['replyx.v1', 'replyx.token.jwt']);
    expect(lastUrl).toBe('/ws/dialogs/d?epoch=e&offset=0&client_id=tab');
    expect(await client.publish('hi', { id: 'm1' })).toMatchObject({ type: 'ack', offset: 1 });
    expect(client.messages()).toHaveLength(1);
    expect(client.position).toEqual({ epoch: 'e', offset: 1 });
    expect(client.deliveries().at(-1)).toMatchObject({ key: 'user/v/m1' });
    expect(await client.close()).toMatchObject({ code: 1000 });
  });

  it('tells how a connection was refused, by close code or HTTP status', async () => {
    const refused = await dial({ url: `ws://${base}/refused` }).closed;
    expect(refused).toMatchObject({ code: 4003, reason: 'forbidden_domain', disconnectFrame: { code: 4003 } });
    expect(await dial({ url: `ws://${base}/flood` }).closed).toMatchObject({ code: 1006, httpStatus: 429 });
    expect(await dial({ url: 'ws://127.0.0.1:9' }).closed).toMatchObject({ code: 1006, error: 'ECONNREFUSED' });
    await expect(connect({ url: `ws://${base}/refused` })).rejects.toThrow(/4003/);
  });

  it('names the last frames when what is waited for does not come', async () => {
    const client = await connect({ url: `ws://${base}/x` });
    await expect(client.waitFor('message', 30)).rejects.toThrow(/waited for message; last frames:\n {2}{"type":"conn/);
    await client.terminate();
    await expect(client.waitFor('message')).rejects.toThrow(/waited for message/);
  });

  it('sees nothing while reading is paused', async () => {
    const client = await connect({ url: `ws://${base}/x` });
    client.pauseReading();
    const ack = client.publish('hi');
    await expect(client.waitFor('message', 50)).rejects.toThrow();
    client.resumeReading();
    expect((await ack).type).toBe('ack');
    await client.terminate();
  });
});

describe('upgradeStatus', () => {
  it('reports a close code, a refusal and an accepted upgrade', async () => {
    expect(await upgradeStatus(`ws://${base}/refused`)).toMatchObject({ status: 101, closeCode: 4003 });
    expect(await upgradeStatus(`ws://${base}/flood`)).toMatchObject({ status: 429, ended: true });
    const accepted = await upgradeStatus(`ws://${base}/x`, { Origin: 'https://a.example' });
    expect([accepted.status, accepted.closeCode, accepted.frames]).toEqual([
      101,
      undefined,
      [JSON.stringify(connected)],
    ]);
  });

  it('sends headers as given: removed, repeated, malformed', async () => {
    expect((await upgradeStatus(`ws://${base}/x`, { 'Sec-WebSocket-Key': null })).status).toBe(400);
    expect((await upgradeStatus(`ws://${base}/x`, { 'sec-websocket-version': '12' })).status).toBe(400);
  });
});

describe('internalApi', () => {
  it('sends the key and parses problem answers', async () => {
    const answer = await internalApi(`http://${base}`, 'k').get('/v1/nothing');
    expect([answer.status, answer.body]).toEqual([404, { code: 'not_found', key: 'Bearer k' }]);
  });
});
