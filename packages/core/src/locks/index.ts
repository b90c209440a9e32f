export { quorumOf } from './ballot.js';
export { LockLost, type WithLockResult, type Work } from './keep-lock.js';
export { dialogLockName, isLockId, type Lock, type LockRef } from './lock.js';
export * from './lock-master.js';
export type { LockOptions, LocksParts } from './lock-settings.js';
export * from './locks.js';
