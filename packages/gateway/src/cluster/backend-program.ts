import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { startChild } from './child.js';
import { DEMO_DIALOG } from './demo-dialog.js';
import type { Running } from './supervised.js';

/** Starts a backend beside the cluster. It finds the internal listeners, a key and the dialog in its environment. */
export const startBackendProgram = async (
  file: string,
  internalUrls: readonly string[],
  apiKey: string,
  path: string,
  onLog: (line: string) => void,
): Promise<Running> => {
  const env = {
    PATH: path,
    REPLYX_INTERNAL_URLS: internalUrls.join(','),
    REPLYX_API_KEY: apiKey,
    REPLYX_DIALOG: DEMO_DIALOG,
  };
  const child = startChild('backend', file, [], env, onLog);
  if (child.process.stdout !== null)
    createInterface({ input: child.process.stdout }).on('line', (line) => onLog(`backend ${line}`));
  await Promise.race([once(child.process, 'spawn'), child.ended]);
  return child;
};
