import { fakeClock } from '@replyx/testkit';
import { describeLockMasterContract } from '@replyx/testkit/contract';
import { expect, test } from 'vitest';
import { MemoryLockMaster } from '../src/memory/index.js';

describeLockMasterContract('memory', async () => {
  const clock = fakeClock();
  const master = new MemoryLockMaster(clock);
  return {
    open: async () => master.open(),
    pass: (ms) => clock.advanceAsync(ms),
    nowMs: async () => clock.nowMs(),
    flush: async () => master.flush(),
    close: async () => {},
  };
});

test('an acquire that arrives after its deadline is refused', async () => {
  const clock = fakeClock();
  const master = new MemoryLockMaster(clock);
  const handle = master.open();
  const ask = (value: string) => handle.acquire({ name: 'n', value, owner: '', ttlMs: 1_000, deadlineMs: 100 });
  master.faults.requestDelayMs = () => 101;
  const late = ask('late');
  await clock.advanceAsync(101);
  expect(await late).toEqual({ status: 'refused' });
  expect(master.valueOf('n')).toBeUndefined();
  master.faults.requestDelayMs = () => 100;
  const inTime = ask('in time');
  await clock.advanceAsync(100);
  expect(await inTime).toMatchObject({ status: 'granted' });
});
