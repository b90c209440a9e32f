export type { GatewayConfig } from './config/gateway-config.js';
export { readConfig } from './config/read-config.js';
export { type GatewayNode, type NodeParts, startNode } from './node.js';
export { systemClock, systemRandom } from './system-clock.js';
