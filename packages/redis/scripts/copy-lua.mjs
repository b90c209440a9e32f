// The compiler leaves .lua files behind: they are read at run time from beside the compiled loader.
import { cp, rm } from 'node:fs/promises';

const from = new URL('../src/scripts/', import.meta.url);
const to = new URL('../dist/scripts/', import.meta.url);
await rm(to, { recursive: true, force: true });
await cp(from, to, { recursive: true, filter: (path) => !/\.[a-z]+$/.test(path) || path.endsWith('.lua') });
