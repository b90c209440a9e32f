// A driver process. What it is to do, secrets included, comes from the process that started it, never from its command line.
import { runClock } from '../run-clock.js';
import { Driver } from './driver.js';
import type { FromDriver, ToDriver } from './driver-messages.js';

const say = (message: FromDriver): void => {
  process.send?.(message);
};

const end = (): void => process.exit(0);

let driver: Driver | undefined;

const obey = async (message: ToDriver): Promise<void> => {
  switch (message.type) {
    case 'plan':
      driver = new Driver(message.plan, message.driver, runClock(BigInt(message.baseNs)), say);
      say({ type: 'ready' });
      return;
    case 'connect':
      return driver?.connect();
    case 'go':
      return driver?.go(message.startUs);
    case 'hold':
      driver?.holdFor(message.holdMs);
      return;
    case 'stop':
      driver?.stop();
      return;
    case 'verify':
      await driver?.verify(message.heads);
      process.disconnect();
      end();
  }
};

// Ctrl-C reaches the whole process group; when to stop is the parent's decision.
process.on('SIGINT', () => {});
process.on('disconnect', end);
process.on('message', (message: ToDriver) => {
  obey(message).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(1);
  });
});
