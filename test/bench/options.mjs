import { parseArgs } from 'node:util';

const NUMBERS = {
  rounds: 4,
  /** Messages a second of `dialogs`. */
  rate: 4_000,
  /** How long the measured part of a round lasts. */
  seconds: 5,
  searchSeconds: 3,
  floodSeconds: 3,
  connections: 3_000,
  idleConnections: 10_000,
  stormClients: 10_000,
};
const QUICK = {
  rounds: 1,
  seconds: 2,
  searchSeconds: 1,
  floodSeconds: 1,
  connections: 600,
  idleConnections: 2_000,
  stormClients: 300,
};
const SIZES = [1_000, 10_000, 50_000];

const flagOf = (name) => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

export const USAGE = `npm run bench -- [--only dialogs,hot] [--peers socket.io,soketi|none] [--quick] [--write]
  ${[...Object.keys(NUMBERS).map(flagOf), 'sizes'].map((flag) => `--${flag}`).join(' ')}`;

/** Throws with one line for a flag that is not known or a value that is no number. */
export const readOptions = (args) => {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string' },
      peers: { type: 'string' },
      sizes: { type: 'string' },
      quick: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      ...Object.fromEntries(Object.keys(NUMBERS).map((name) => [flagOf(name), { type: 'string' }])),
    },
  });
  if (values.quick && values.write) throw new Error('--quick measures nothing that is worth --write');
  const list = (text) => text.split(',').filter((item) => item !== '' && item !== 'none');
  const number = (name, text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} ${text} is not a whole number above 0`);
    return value;
  };
  const numbers = { ...NUMBERS, ...(values.quick ? QUICK : {}) };
  for (const name of Object.keys(NUMBERS)) {
    const given = values[flagOf(name)];
    if (given !== undefined) numbers[name] = number(flagOf(name), given);
  }
  return {
    ...numbers,
    only: values.only === undefined ? undefined : list(values.only),
    peers: values.peers === undefined ? undefined : list(values.peers),
    sizes:
      values.sizes === undefined
        ? values.quick
          ? SIZES.slice(0, 1)
          : SIZES
        : list(values.sizes).map((text) => number('sizes', text)),
    quick: values.quick,
    write: values.write,
  };
};
