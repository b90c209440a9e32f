/** An address of its own for every visitor; flooders come from elsewhere. */
export const addressOf = (index) => `127.${100 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;

/** One connection to one node. */
export const targetOn = ({ contender }, node, dialogId, index, publishes = true) => ({
  ...contender.target(node, dialogId),
  dialogId,
  publishes,
  localAddress: addressOf(index),
});

/**
 * A dialog's connections: one on each of two nodes. Where a publisher does not get its own message a third one publishes, so
 * that every message reaches one socket on each node everywhere.
 */
const dialogOnPair = (world, pair, dialogId, index) => {
  const { contender } = world;
  const both = pair.map((node) => targetOn(world, node, dialogId, index, contender.echoes));
  return contender.echoes ? both : [...both, targetOn(world, pair[index % 2], dialogId, index)];
};

/** A dialog on the first two nodes. */
export const dialogOnBoth = (world, dialogId, index) => dialogOnPair(world, world.nodes.slice(0, 2), dialogId, index);

export const dialogsOnBoth = (world, count, prefix = 'd') =>
  Array.from({ length: count }, (_, index) => dialogOnBoth(world, `${prefix}${index}`, index));

/** Dialogs that take the pairs of nodes in turn: the first and second, the third and fourth, and so on. */
export const dialogsOnPairs = (world, count, prefix = 'd') => {
  const { nodes } = world;
  const pairs = Array.from({ length: nodes.length >> 1 }, (_, n) => nodes.slice(2 * n, 2 * n + 2));
  return Array.from({ length: count }, (_, index) =>
    dialogOnPair(world, pairs[index % pairs.length], `${prefix}${index}`, index),
  );
};

/** `count` dialogs with one connection each, on one node. */
export const dialogsOn = (world, node, count, prefix, from = 0) =>
  Array.from({ length: count }, (_, index) => targetOn(world, node, `${prefix}${index}`, from + index));
