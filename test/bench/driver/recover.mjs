import { connectAll, connectOne } from './connect.mjs';
import { percentiles } from './percentiles.mjs';

const PATIENCE_MS = 60_000;
const MESSAGE = '{"type":"message"';

/** Opens connections that remember where they began, and writes `count` messages in each dialog. */
export const fill = async (targets, dialect, { count, text, concurrency }) => {
  const { wires } = await connectAll(
    targets.map((target) => ({ ...target, keepsPosition: true })),
    dialect,
    concurrency,
  );
  let next = 0;
  const worker = async () => {
    while (next < wires.length) {
      const wire = wires[next++];
      await new Promise((resolve, reject) => {
        let left = count;
        const guard = setTimeout(() => reject(new Error('a message did not come back')), PATIENCE_MS);
        wire.onText = (bytes, start, end) => {
          if (dialect.idOf(bytes, start, end) === -1 || --left > 0) return;
          clearTimeout(guard);
          resolve();
        };
        for (let id = 0; id < count; id += 1) wire.send(dialect.encode(wire.target, id, text));
      });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return wires;
};

/** Whether the frames after `connected` are the next `count` offsets, in order, and nothing else of the kind. */
const recoverOne = async (target, dialect, count) => {
  const offsets = [];
  let wanted = () => {};
  const whole = new Promise((resolve) => {
    wanted = resolve;
  });
  let connected;
  const wire = await connectOne(target, {
    ...dialect,
    hear: (opened, _target, bytes, start, end, ready) => {
      const frame = bytes.utf8Slice(start, end);
      if (frame.startsWith('{"type":"connected"')) {
        connected = JSON.parse(frame);
        ready();
      } else if (frame.startsWith(MESSAGE)) {
        offsets.push(JSON.parse(frame).offset);
        if (offsets.length === count) wanted();
      }
      return opened;
    },
  });
  let guard;
  await Promise.race([
    whole,
    new Promise((resolve) => {
      guard = setTimeout(resolve, PATIENCE_MS);
    }),
  ]);
  clearTimeout(guard);
  const isWhole =
    connected.recovered === true &&
    offsets.length === count &&
    offsets.every((offset, index) => offset === target.position.offset + index + 1);
  return { wire, isWhole };
};

/** Everybody comes back, `concurrency` at a time, where `port` says, from the position of before. */
export const recover = async (targets, dialect, { count, concurrency }) => {
  const tookMs = new Float64Array(targets.length);
  const wires = [];
  let whole = 0;
  let next = 0;
  const worker = async () => {
    while (next < targets.length) {
      const index = next++;
      const startedMs = performance.now();
      const recovered = await recoverOne(targets[index], dialect, count);
      tookMs[index] = performance.now() - startedMs;
      wires.push(recovered.wire);
      if (recovered.isWhole) whole += 1;
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, targets.length) }, worker));
  return { wires, whole, ...percentiles(tookMs) };
};
