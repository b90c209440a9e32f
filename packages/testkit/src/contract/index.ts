import { describeControlContract } from './control-contract.js';
import { describeDirectoryContract } from './directory-contract.js';
import { describeFanoutContract } from './fanout-contract.js';
import { describeInboxContract } from './inbox-contract.js';
import { describeLeasesContract } from './leases-contract.js';
import { describeLimiterContract } from './limiter-contract.js';
import { describeLogContract } from './log-contract.js';
import { describeMembershipContract } from './membership-contract.js';
import { describeRosterContract } from './roster-contract.js';
import type { MakeWorld } from './world.js';

export * from './world.js';
export {
  describeControlContract,
  describeDirectoryContract,
  describeFanoutContract,
  describeInboxContract,
  describeLeasesContract,
  describeLimiterContract,
  describeLogContract,
  describeMembershipContract,
  describeRosterContract,
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
  describeInboxContract(name, makeWorld);
};
