import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { connect, type GatewayProcess, startGateway, TEST_API_KEY } from '@replyx/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');

/** Commands that this very run is part of, or that have a test of their own that ends them. */
const SHOWN_ELSEWHERE = [
  /^npm start$/,
  /^npm test\b/,
  /^npm run (check|bench)\b/,
  /^npx replyx (serve( --workers auto)?$|tail )/,
];

/** The commands of the README's shell blocks, a continued line joined, comments dropped. */
const commands = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)]
  .flatMap(([, block = '']) => block.replace(/\\\n\s*/g, ' ').split('\n'))
  .map((line) => line.replace(/\s+#\s.*$/, '').trim())
  .filter((line) => line !== '');

describe('the README', () => {
  let gateway: GatewayProcess;
  let folder: string;
  beforeAll(async () => {
    gateway = await startGateway();
    folder = mkdtempSync(join(tmpdir(), 'replyx-readme-'));
  });
  afterAll(async () => {
    await gateway?.kill();
  });

  const shell = (command: string, env: Record<string, string> = {}) =>
    run(
      'bash',
      ['-euo', 'pipefail', '-c', command.replace(/^npx replyx/, `node '${ROOT}packages/gateway/bin/replyx.js'`)],
      {
        cwd: folder,
        env: {
          PATH: process.env['PATH'] ?? '',
          HOME: folder,
          INTERNAL: gateway.internalUrl,
          KEY: TEST_API_KEY,
          ...env,
        },
      },
    );

  const shown = commands.filter((command) => !SHOWN_ELSEWHERE.some((pattern) => pattern.test(command)));

  it('has commands, and each of them runs as it is written', async () => {
    expect(shown.length).toBeGreaterThan(4);
    const outputs: string[] = [];
    for (const command of shown) {
      // What `curl` is answered must be a success, not only an answer.
      const strict = command.replace(/^curl /, 'curl --silent --show-error --fail-with-body ');
      const env = /check-config/.test(command) ? envOf(readFileSync(join(folder, '.env'), 'utf8')) : {};
      const { stdout } = await shell(strict, env);
      outputs.push(stdout);
    }
    const token = /"token":"([^"]+)"/.exec(outputs.join('\n'))?.[1];
    const client = await connect({
      url: `${gateway.wsUrl}/ws/site/dialogs/d1`,
      token: token ?? '',
      origin: 'https://shop.test',
    });
    expect(await client.publish('Hello')).toMatchObject({ type: 'ack', offset: 3 });
    await client.close();
  });

  const pages = ['README.md', ...documents(join(ROOT, 'packages'))];
  it.each(pages)('%s links to what is there', (page) => {
    const text = readFileSync(join(ROOT, page), 'utf8');
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)(#[^)]*)?\)/g)].map(([, target = '']) => target);
    for (const link of links) expect([link, existsSync(join(ROOT, dirname(page), link))]).toEqual([link, true]);
  });
});

function envOf(text: string): Record<string, string> {
  return Object.fromEntries([...text.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]));
}

function documents(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.md') && !entry.parentPath.includes('node_modules'))
    .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length));
}
