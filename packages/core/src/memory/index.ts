export { MemoryCluster, type MemoryClusterOptions, type MemorySnapshot, memoryCluster } from './cluster.js';
export { type MemoryLockFaults, MemoryLockMaster } from './lock-master.js';
