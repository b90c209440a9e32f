export { openRedisBackplane, type RedisBackplane } from './backplane.js';
export { BackplaneUnsupported } from './errors.js';
export type { NoticeDetails, NoticeEvent, RedisBackplaneOptions } from './options.js';
export { describeAddress, InvalidRedisUrl, parseRedisUrl, type RedisAddress } from './url.js';
