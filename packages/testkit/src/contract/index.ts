import { describeControlContract } from './control-contract.js';
import { describeDirectoryContract } from './directory-contract.js';
import { describeFanoutContract } from './fanout-contract.js';
import { describeHandoffsContract } from './handoffs-contract.js';
import { describeInboxContract } from './inbox-contract.js';
import { describeLeasesContract } from './leases-contract.js';
import { describeLimiterContract } from './limiter-contract.js';
import { describeLockMasterContract, type LockMasterWorld } from './lock-master-contract.js';
import { describeLogContract } from './log-contract.js';
import { describeMembershipContract } from './membership-contract.js';
import { describeRosterContract } from './roster-contract.js';
import { describeStreamsContract } from './streams-contract.js';
import type { MakeWorld } from './world.js';

export * from './world.js';
export {
  describeControlContract,
  describeDirectoryContract,
  describeFanoutContract,
  describeHandoffsContract,
  describeInboxContract,
  describeLeasesContract,
  describeLimiterContract,
  describeLockMasterContract,
  describeLogContract,
  describeMembershipContract,
  describeRosterContract,
  describeStreamsContract,
  type LockMasterWorld,
};

/** Every port's contract. */
export const describeBackplaneContract = (name: string, makeWorld: MakeWorld): void => {
  describeLogContract(name, makeWorld);
  describeFanoutContract(name, makeWorld);
  describeDirectoryContract(name, makeWorld);
  describeRosterContract(name, makeWorld);
  describeMembershipContract(name, makeWorld);
  describeLimiterContract(name, makeWorld);
  describeLeasesContract(name, makeWorld);
  describeControlContract(name, makeWorld);
  describeHandoffsContract(name, makeWorld);
  describeStreamsContract(name, makeWorld);
  describeInboxContract(name, makeWorld);
};
