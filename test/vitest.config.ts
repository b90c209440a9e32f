import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('..', import.meta.url));

// Tests with real processes share two cores with what they start, and mostly wait: three files at a time, and guards that only a hang
// meets. What fails once on a machine that others use is tried once more.
const processes = {
  maxWorkers: 3,
  sequence: { groupOrder: 1 },
  testTimeout: 120_000,
  hookTimeout: 60_000,
  retry: 1,
};

export default defineConfig({
  root,
  test: {
    root,
    projects: [
      {
        root,
        test: { name: 'unit', include: ['packages/*/test/**/*.test.ts'], exclude: ['packages/redis/**'] },
      },
      { root, test: { name: 'redis', include: ['packages/redis/test/**/*.test.ts'], ...processes } },
      { root, test: { name: 'integration', include: ['test/integration/**/*.test.ts'], ...processes } },
      { root, test: { name: 'chaos', include: ['test/chaos/**/*.test.ts'], ...processes } },
      // Not part of `npm test`: it needs a browser, which takes a core by itself.
      { root, test: { name: 'browser', include: ['test/browser/**/*.test.ts'], ...processes, maxWorkers: 1 } },
    ],
  },
});
