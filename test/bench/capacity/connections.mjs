import { replyx, tokenOf } from '../contenders/replyx.mjs';
import { upgradeText } from '../driver/wire.mjs';
import { startDriver } from '../drivers.mjs';
import { whenStill } from '../meter.mjs';
import { storm } from '../scenarios/storm.mjs';
import { dialogsOn } from '../targets.mjs';
import { inWorld } from '../world.mjs';
import { each, metered, standing } from './quiet-meter.mjs';

const CONNECTS = 3_000;
const REFUSALS = 3_000;
const RETURNS = 1_500;
const QUIET_MS = 4_000;
/** A node keeps a dialog that was left subscribed for five seconds, and tells Redis of those that left. */
const LINGER_MS = 7_000;
const FORGERS = 88;

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Connections that come and go, attempts with tokens that a stranger signed, and clients that come back and recover. */
export const connectionCosts = async () => {
  const costs = await inWorld(replyx, { count: 1 }, async (world) => {
    const [node] = world.nodes;
    const driver = startDriver(replyx.dialect);
    const comeAndGo = async (prefix, from) => {
      await driver.ask('connect', { targets: dialogsOn(world, node, CONNECTS, prefix, from) });
      await driver.ask('drop');
      await wait(LINGER_MS);
      await whenStill(world);
    };
    const request = upgradeText({
      port: node.port,
      path: '/ws/site/dialogs/d1',
      headers: {
        Origin: 'https://customer.example',
        'Sec-WebSocket-Protocol': `replyx.v1, replyx.token.${tokenOf('d1', { secret: 'a secret of a stranger, as long as ours is' })}`,
      },
    });
    // Below the limit of failures of an address, so that each attempt gets as far as its token.
    const refuse = (count) =>
      driver.ask('flood', {
        ...{ ports: [node.port], request, second: FORGERS, addresses: 20_000, perAddress: 8, count, concurrency: 32 },
      });
    try {
      await comeAndGo('w', 0);
      const still = await standing(world, QUIET_MS);
      const came = each(await metered(world, () => comeAndGo('c', CONNECTS)), still, CONNECTS);
      await refuse(REFUSALS / 3);
      await whenStill(world);
      const attempts = await metered(world, async () => {
        const { outcomes } = await refuse(REFUSALS);
        if (outcomes['close 4002'] !== REFUSALS) throw new Error(`refused otherwise: ${JSON.stringify(outcomes)}`);
        await whenStill(world);
      });
      const refused = each(attempts, still, REFUSALS);
      return {
        node_connect: came.server,
        redis_connect: came.redis,
        node_refusal: refused.server,
        redis_refusal: refused.redis,
      };
    } finally {
      driver.stop();
    }
  });
  const { recoverMicros } = await storm.round(replyx, { stormClients: RETURNS });
  return { ...costs, node_recovery: recoverMicros };
};
