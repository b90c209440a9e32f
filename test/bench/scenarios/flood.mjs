import { internalApi } from '@replyx/testkit';
import { tokenOf } from '../contenders/replyx.mjs';
import { upgradeText } from '../driver/wire.mjs';
import { startCrew, startDriver } from '../drivers.mjs';
import { startMeter, whenStill } from '../meter.mjs';
import { dialogsOnBoth } from '../targets.mjs';
import { inWorld } from '../world.mjs';
import { TEXT } from './dialogs.mjs';

/** 127.<second>.0.0/16: at its limit of connects, banned, and with bad tokens. */
const DENIED = 66;
const BANNED = 77;
const FORGERS = 88;
const HOSTS = 64;
const FORGING_HOSTS = 20_000;
/** Below both limits, so that every one of them gets as far as its token. */
const FORGERIES_A_HOST = 8;
const CONNECTS_A_HOST = 10;
const CONCURRENCY = 64;
const DIALOGS = 250;
const CHAT_RATE = 500;

const LIMITS = { WS_RATE_LIMIT_PER_IP: CONNECTS_A_HOST, WS_RATE_LIMIT_AUTH_FAILURES: CONNECTS_A_HOST };

/** The same bytes for everybody; the token is one that a stranger has signed. */
const requestTo = ({ port }) =>
  upgradeText({
    port,
    path: '/ws/site/dialogs/d1',
    headers: {
      Origin: 'https://customer.example',
      'Sec-WebSocket-Protocol': `replyx.v1, replyx.token.${tokenOf('d1', { secret: 'a secret of a stranger, as long as ours is' })}`,
    },
  });

const attacksOn = (contender) =>
  contender.name === 'bare'
    ? { denied: { second: DENIED, addresses: HOSTS, answer: '429' } }
    : {
        denied: { second: DENIED, addresses: HOSTS, answer: '429' },
        banned: { second: BANNED, addresses: HOSTS, answer: '403' },
        badToken: { second: FORGERS, addresses: FORGING_HOSTS, perAddress: FORGERIES_A_HOST, answer: 'close 4002' },
      };

const prepare = async ({ nodes, contender }, attacker, request) => {
  if (contender.name === 'bare') return;
  const [{ internalUrl }] = nodes;
  const { status } = await internalApi(internalUrl).post('/v1/bans', {
    network: `127.${BANNED}.0.0/16`,
    ttl_seconds: 3_600,
    reason: 'bench',
  });
  if (status !== 201) throw new Error(`the ban was answered ${status}`);
  // Each node learns by itself that an address is at its limit.
  for (const { port } of nodes) {
    const count = HOSTS * (CONNECTS_A_HOST + 2);
    await attacker.ask('flood', { ports: [port], request, second: DENIED, addresses: HOSTS, count, concurrency: 16 });
  }
};

const checked = (result, answer) => {
  const others = Object.entries(result.outcomes).filter(([outcome]) => outcome !== answer);
  const wrong = others.reduce((sum, [, count]) => sum + count, 0);
  if (wrong > result.attempts / 100) throw new Error(`instead of ${answer}: ${JSON.stringify(result.outcomes)}`);
  return result;
};

/** Refusals at full speed: what each costs, and what the admitted clients feel of it. */
export const flood = {
  name: 'flood',
  contenders: ['bare', 'replyx', 'control'],
  steady: ['deniedMicros'],
  round: (contender, { floodSeconds }) => {
    const options = contender.name === 'bare' ? { refusedSecond: DENIED } : { env: LIMITS };
    return inWorld(contender, { options }, async (world) => {
      const attacker = startDriver(contender.dialect);
      const crew = await startCrew(contender.dialect, dialogsOnBoth(world, DIALOGS));
      const ports = world.nodes.map(({ port }) => port);
      const request = requestTo(world.nodes[0]);
      const chat = () => crew.chat({ rate: CHAT_RATE, total: CHAT_RATE * floodSeconds, text: TEXT, deliveries: 2 });
      const attack = async ({ answer, ...from }, seconds) =>
        checked(await attacker.ask('flood', { ports, request, concurrency: CONCURRENCY, ...from, seconds }), answer);
      const result = {};
      try {
        await prepare(world, attacker, request);
        await chat();
        for (const [name, from] of Object.entries(attacksOn(contender))) {
          await attack(from, 1);
          await whenStill(world);
          const used = startMeter(world);
          const { attempts, seconds } = await attack(from, floodSeconds);
          await whenStill(world);
          const { serverMicros, redisMicros } = used();
          result[`${name}Micros`] = serverMicros / attempts;
          result[`${name}RedisMicros`] = redisMicros / attempts;
          result[`${name}Rate`] = attempts / seconds;
          const quiet = await chat();
          const [loud] = await Promise.all([chat(), attack(from, floodSeconds)]);
          result[`${name}QuietP99`] = quiet.p99;
          result[`${name}LoudP99`] = loud.p99;
          result[`${name}Latency`] = loud.p99 / quiet.p99;
          result[`${name}MedianLatency`] = loud.p50 / quiet.p50;
        }
        return result;
      } finally {
        attacker.stop();
        crew.stop();
      }
    });
  },
  rows: () => [
    {
      work: 'refused attempts from an address at its limit (429 by HTTP): server CPU each',
      field: 'deniedMicros',
      unit: 'µs',
      digits: 1,
      aims: [{ text: 'at most 1.3 × bare answering 429', met: (of) => of.replyx <= 1.3 * of.bare }],
    },
    {
      work: 'refused attempts from a banned network (403 by HTTP), against the same 429: server CPU each',
      field: 'bannedMicros',
      fieldOfBare: 'deniedMicros',
      unit: 'µs',
      digits: 1,
      aims: [{ text: 'at most 1.3 × bare answering 429', met: (of) => of.replyx <= 1.3 * of.bare }],
    },
    {
      work: 'bad tokens (upgraded, judged, closed with 4002), against the same 429: server CPU each',
      field: 'badTokenMicros',
      fieldOfBare: 'deniedMicros',
      unit: 'µs',
      digits: 1,
      aims: [],
    },
    {
      work: `p99 of ${DIALOGS * 2} admitted clients (${CHAT_RATE}/s) during a flood from addresses at their limit, over that without`,
      field: 'deniedLatency',
      unit: '×',
      digits: 2,
      aims: [],
    },
    {
      work: 'the same during a flood from a banned network (the bare server: during its 429)',
      field: 'bannedLatency',
      fieldOfBare: 'deniedLatency',
      unit: '×',
      digits: 2,
      aims: [],
    },
    {
      work: 'the same during a flood of bad tokens (the bare server: during its 429)',
      field: 'badTokenLatency',
      fieldOfBare: 'deniedLatency',
      unit: '×',
      digits: 2,
      aims: [],
    },
  ],
};
