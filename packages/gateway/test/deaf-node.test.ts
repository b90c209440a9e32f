import { type Backplane, type Delivery, type FanoutListener, memoryCluster } from '@replyx/core';
import {
  type ConnectOptions,
  connect,
  internalApi,
  operatorToken,
  TEST_API_KEY,
  TEST_SECRET_KEY,
  TEST_SITE_SECRET,
  TEST_TENANT,
  type TestClient,
} from '@replyx/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { backplaneOptions } from '../src/backplane.js';
import { readConfig } from '../src/config/read-config.js';
import { locksOn } from '../src/locks.js';
import { type GatewayNode, startNode } from '../src/node.js';
import { createLogger } from '../src/observability/logger.js';
import { systemClock, systemRandom } from '../src/system-clock.js';

/** The subscriber connection of a node may be cut when something is told that no history keeps. */
describe('a node that did not hear what was told once', () => {
  const cluster = memoryCluster({ clock: systemClock, random: systemRandom });
  let nodes: GatewayNode[] = [];
  /** Deliveries for which it is true never reach the first node. */
  let isLost: (delivery: Delivery) => boolean = () => false;

  const deaf = (backplane: Backplane): Backplane => {
    const { fanout } = backplane;
    return {
      ...backplane,
      fanout: {
        subscribe: (refs) => fanout.subscribe(refs),
        unsubscribe: (refs) => fanout.unsubscribe(refs),
        emit: (ref, audience, frame) => fanout.emit(ref, audience, frame),
        listen: (listener: FanoutListener) =>
          fanout.listen({
            onDelivery: (delivery) => {
              if (!isLost(delivery)) listener.onDelivery(delivery);
            },
            onRestored: (refs) => listener.onRestored(refs),
          }),
      },
    };
  };

  const start = async (nodeId: string, wrap: (backplane: Backplane) => Backplane): Promise<GatewayNode> => {
    const read = readConfig(
      {
        NODE_ID: nodeId,
        HOST: '127.0.0.1',
        PORT: '0',
        INTERNAL_PORT: '0',
        SECRET_KEY: TEST_SECRET_KEY,
        SITE_SECRET: TEST_SITE_SECRET,
        API_KEYS: TEST_API_KEY,
        LOG_LEVEL: 'fatal',
        WS_NODE_TTL_SECONDS: '3',
      },
      () => '',
    );
    if (!read.ok) throw new Error('the configuration is not valid');
    const { config } = read;
    const incarnation = `${nodeId}.boot`;
    const logger = createLogger(config.logLevel, nodeId);
    const [clock, random] = [systemClock, systemRandom];
    return startNode({
      config,
      backplane: wrap(cluster.open(backplaneOptions(config, incarnation))),
      locks: locksOn([cluster.lockMaster.open()], { clock, random, logger }),
      incarnation,
      version: '1',
      logger,
      clock,
      random,
      fetch,
    });
  };

  const at = (index: number): GatewayNode => {
    const node = nodes[index];
    if (node === undefined) throw new Error('no such node');
    return node;
  };
  const api = (index: number) => internalApi(`http://127.0.0.1:${at(index).internalPort}`);
  const put = async (dialogId: string): Promise<void> => {
    const answer = await api(1).put(`/v1/dialogs/${dialogId}`, { tenant: TEST_TENANT, assistant_id: 'bot' });
    expect(answer.status).toBe(200);
  };
  const join = (index: number, dialogId: string, rest: Partial<ConnectOptions> = {}): Promise<TestClient> =>
    connect({ url: `ws://127.0.0.1:${at(index).port}/ws/dialogs/${dialogId}`, token: operatorToken(), ...rest });

  /** Until the first node has looked at the control stream once more: then it knows who was there before the next entry. */
  const look = async (): Promise<void> => {
    await put('look');
    const witness = await join(0, 'look');
    const { connection_id } = await witness.waitFor('connected');
    await api(1).post('/v1/disconnect', { connection_id });
    await witness.closed;
  };

  beforeEach(async () => {
    isLost = () => false;
    nodes = [await start('deaf', deaf), await start('other', (backplane) => backplane)];
  });
  afterEach(async () => {
    for (const node of nodes) node.kill();
  });

  it('closes the sockets of an erased dialog with 4004, and those of its next life stay', async () => {
    await put('d');
    const client = await join(0, 'd');
    await look();
    isLost = ({ kind }) => kind === 'erased';
    expect((await api(1).delete('/v1/dialogs/d')).status).toBe(204);
    await put('d');
    const newcomer = await join(0, 'd');
    expect((await client.closed).code).toBe(4004);
    expect(await newcomer.publish('hello')).toMatchObject({ type: 'ack' });
  });

  it('closes a socket that gave way to a newer one of its client on another node', async () => {
    await put('e');
    const client = await join(0, 'e', { clientId: 'tab' });
    isLost = ({ kind }) => kind === 'evicted';
    await join(1, 'e', { clientId: 'tab' });
    expect((await client.closed).code).toBe(4009);
  });
});
