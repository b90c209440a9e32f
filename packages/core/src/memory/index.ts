export { MemoryCluster, type MemoryClusterOptions, type MemorySnapshot, memoryCluster } from './cluster.js';
