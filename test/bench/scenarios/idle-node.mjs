import { startCrew } from '../drivers.mjs';
import { startTap } from '../redis-tap.mjs';
import { dialogsOnBoth, targetOn } from '../targets.mjs';
import { inWorld } from '../world.mjs';
import { TEXT } from './dialogs.mjs';

const MARKER = 'busy-dialog-';
const DIALOGS = 100;
const RATE = 1_000;

/** A third node, with a dialog of its own, beside two that are busy: what of their messages it hears from Redis, and says to it. */
export const idleNode = {
  name: 'idle-node',
  contenders: ['bare', 'replyx', 'socket.io', 'soketi'],
  steady: [],
  round: async (contender, { seconds }) => {
    let tap;
    const redisUrlOf = async (redis, n) => {
      if (n !== 2) return redis.url;
      tap = await startTap(redis.port, MARKER);
      return tap.url;
    };
    try {
      return await inWorld(contender, { count: 3, redisUrlOf }, async (world) => {
        const dialogs = dialogsOnBoth(world, DIALOGS, MARKER);
        dialogs.push([targetOn(world, world.nodes[2], 'a-quiet-one', DIALOGS, false)]);
        const crew = await startCrew(contender.dialect, dialogs);
        try {
          const before = { ...tap.counts };
          const { sent } = await crew.chat({ rate: RATE, total: RATE * seconds, text: TEXT, deliveries: 2 });
          return {
            bytes: (tap.counts.markedDownBytes - before.markedDownBytes) / sent,
            commands: (tap.counts.markedUpChunks - before.markedUpChunks) / sent,
          };
        } finally {
          crew.stop();
        }
      });
    } finally {
      tap?.close();
    }
  },
  rows: () => [
    {
      work: 'a third node that does not hold the dialogs: bytes from Redis a message of theirs',
      field: 'bytes',
      unit: 'B',
      aims: [{ text: '0', met: (of) => of.replyx === 0 }],
    },
    {
      work: 'the same: commands to Redis a message of theirs',
      field: 'commands',
      unit: '',
      aims: [{ text: '0', met: (of) => of.replyx === 0 }],
    },
  ],
};
