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
 * A dialog's connections: one on each of the first two nodes. Where a publisher does not get its own message a third one publishes, so
 * that every message reaches one socket on each node everywhere.
 */
export const dialogOnBoth = (world, dialogId, index) => {
  const { nodes, contender } = world;
  const pair = nodes.slice(0, 2).map((node) => targetOn(world, node, dialogId, index, contender.echoes));
  return contender.echoes ? pair : [...pair, targetOn(world, nodes[index % 2], dialogId, index)];
};

export const dialogsOnBoth = (world, count, prefix = 'd') =>
  Array.from({ length: count }, (_, index) => dialogOnBoth(world, `${prefix}${index}`, index));

/** `count` dialogs with one connection each, on one node. */
export const dialogsOn = (world, node, count, prefix, from = 0) =>
  Array.from({ length: count }, (_, index) => targetOn(world, node, `${prefix}${index}`, from + index));
