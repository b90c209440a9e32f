import { Wire } from './wire.mjs';

const READY_MS = 60_000;

/** One connection, resolved when it is ready by its dialect: subscribed, and told so where the server tells it. */
export const connectOne = (target, dialect) =>
  new Promise((resolve, reject) => {
    const guard = setTimeout(() => reject(new Error(`port ${target.port}: not ready in ${READY_MS} ms`)), READY_MS);
    let opened;
    const ready = () => {
      clearTimeout(guard);
      resolve(opened);
    };
    Wire.open(target, (wire) => {
      opened = wire;
      wire.target = target;
      wire.onClose = (code) => reject(new Error(`closed with ${code}`));
      wire.onText = (bytes, start, end) => dialect.hear(wire, target, bytes, start, end, ready);
      dialect.greet(wire, target, ready);
    }).catch(reject);
  });

/** Opens all targets, so many at once; resolves them in their order, with how long each took in milliseconds. */
export const connectAll = async (targets, dialect, concurrency) => {
  const wires = new Array(targets.length);
  const tookMs = new Float64Array(targets.length);
  let next = 0;
  const worker = async () => {
    while (next < targets.length) {
      const index = next++;
      const startedMs = performance.now();
      wires[index] = await connectOne(targets[index], dialect);
      tookMs[index] = performance.now() - startedMs;
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, targets.length) }, worker));
  return { wires, tookMs };
};
