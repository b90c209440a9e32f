export { openRedisBackplane, type RedisBackplane } from './backplane.js';
export { BackplaneUnsupported } from './errors.js';
export {
  type InspectOptions,
  inspectRedis,
  type RedisInspection,
  type RedisServerFacts,
} from './inspect.js';
export { type LockMasterOptions, openLockMasters } from './locks/open-lock-masters.js';
export type { NoticeDetails, NoticeEvent, RedisBackplaneOptions } from './options.js';
export { describeAddress, InvalidRedisUrl, parseRedisUrl, type RedisAddress } from './url.js';
