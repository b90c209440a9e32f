import { until } from '@replyx/testkit';
import { nodeAt, play, type ScenarioOptions, type ScenarioOutcome } from './scenario.js';

const ROUNDS = 21;

/** The answer of an append is lost with its connection, again and again on every node: one message, one offset, the right ack. */
export const lostReply = (options: ScenarioOptions): Promise<ScenarioOutcome> =>
  play(options, { dialogs: 4, clientsPerDialog: 3, perSecond: 100 }, async (stage, { measure }) => {
    await stage.flowed(20);
    let lost = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const { proxy } = nodeAt(stage, round % stage.cluster.processes.length);
      await stage.during('lost-reply', async () => {
        const dropped = proxy.dropReplies((chunk) => chunk.includes('appended'));
        await until(() => dropped() > 0, { what: 'an answer to be lost' });
        proxy.heal();
        lost += dropped();
      });
      await stage.flowed(10);
    }
    measure(`${lost} chunks of answers lost, each with its connection`);
  });
