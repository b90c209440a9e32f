import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { guardProcess, scratchPath, within } from '@replyx/testkit';
import { DevTools } from './devtools.js';
import { Page } from './page.js';

export interface ChromiumOptions {
  /** Refuses every page storage of any kind, as a visitor's settings may. Default false. */
  readonly blockStorage?: boolean;
}

const STOP_GUARD_MS = 10_000;
const BLOCK = 2;

const ARGUMENTS = [
  '--headless=new',
  '--remote-debugging-pipe',
  // Every name is a server of the tests on this machine, and nothing is asked of any other.
  '--host-resolver-rules=MAP * 127.0.0.1',
  // A frame of another site is a target of its own, on a machine with little memory too.
  '--site-per-process',
  '--no-first-run',
  '--no-default-browser-check',
  '--no-proxy-server',
  '--password-store=basic',
  '--use-mock-keychain',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-default-apps',
  '--disable-dev-shm-usage',
  '--disable-extensions',
  '--disable-gpu',
  '--disable-sync',
  '--disable-breakpad',
  '--disable-crash-reporter',
];

/** A browser without a window, with an empty profile of its own; it dies with the test process. */
export class Chromium {
  readonly #child: ChildProcess;
  readonly #devTools: DevTools;
  readonly #exit: Promise<unknown>;
  readonly #output: () => string;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#exit = once(child, 'close');
    const [, , stderr, to, from] = child.stdio;
    let output = '';
    (stderr as Readable).setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-4_000);
    });
    this.#output = () => output;
    this.#devTools = new DevTools(to as Writable, from as Readable);
  }

  /** Rejects with what the browser printed, where it does not start. */
  async ready(): Promise<void> {
    try {
      await this.#devTools.send('Browser.getVersion');
    } catch (error) {
      await this.close();
      throw new Error(`${(error as Error).message}; its last output:\n${this.#output()}`);
    }
  }

  /** Opens a tab that shares nothing with the others: neither storage nor cookies. */
  async open(url: string): Promise<Page> {
    const { browserContextId } = await this.#devTools.send('Target.createBrowserContext', { disposeOnDetach: true });
    const { targetId } = await this.#devTools.send('Target.createTarget', { url: 'about:blank', browserContextId });
    const { sessionId } = await this.#devTools.send('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page(this.#devTools, targetId, sessionId);
    await page.open(url);
    return page;
  }

  /** Closing twice is safe. */
  async close(): Promise<void> {
    await this.#devTools.send('Browser.close').catch(() => {});
    try {
      await within(this.#exit, STOP_GUARD_MS, () => 'the browser did not end');
    } catch {
      process.kill(-(this.#child.pid ?? 0), 'SIGKILL');
      await this.#exit;
    }
  }
}

const executableIn = (env: NodeJS.ProcessEnv): string => {
  const executable = env['TEST_CHROMIUM'];
  if (executable === undefined) throw new Error('TEST_CHROMIUM names no browser: use npm run test:browser');
  return executable;
};

/** Starts the browser that `TEST_CHROMIUM` names. */
export const launchChromium = async ({ blockStorage = false }: ChromiumOptions = {}): Promise<Chromium> => {
  const executable = executableIn(process.env);
  const home = scratchPath('chromium');
  const profile = join(home, 'profile');
  await mkdir(join(profile, 'Default'), { recursive: true });
  const preferences = blockStorage ? { profile: { default_content_setting_values: { cookies: BLOCK } } } : {};
  await writeFile(join(profile, 'Default', 'Preferences'), JSON.stringify(preferences));
  // The sandbox refuses to run as root.
  const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  const child = spawn(executable, [...ARGUMENTS, ...sandbox, `--user-data-dir=${profile}`], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
    detached: true,
    env: { PATH: process.env['PATH'], HOME: home, TMPDIR: home },
  });
  guardProcess(child);
  const chromium = new Chromium(child);
  await chromium.ready();
  return chromium;
};
