import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { CommandFailure } from '../command.js';
import type { DriverTick, FromDriver, ToDriver } from '../driver/driver-messages.js';

const MAIN = fileURLToPath(new URL('../driver/main.js', import.meta.url));

/** What a driver needs of our environment; secrets reach it by message. */
const INHERITED = ['PATH', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'NODE_V8_COVERAGE'];
const MAX_STDERR = 4_000;

type Awaited = Exclude<FromDriver, DriverTick>['type'];

/** One driver in a process of its own; it ends when this process does. */
export class DriverProcess {
  readonly index: number;
  /** The last tick, whole counts; the latencies of earlier ones have been handed to `onTick`. */
  lastTick: DriverTick | undefined;
  /** Resolves when the process has ended. */
  readonly gone: Promise<void>;
  readonly #child: ChildProcess;
  readonly #arrived = new Map<Awaited, FromDriver>();
  readonly #waiting = new Map<Awaited, (message: FromDriver) => void>();
  #failed: ((error: Error) => void) | undefined;
  #failure: Error | undefined;
  #stderr = '';

  constructor(index: number, onTick: (tick: DriverTick) => void) {
    this.index = index;
    const env: Record<string, string> = {};
    for (const name of INHERITED) {
      const value = process.env[name];
      if (value !== undefined) env[name] = value;
    }
    this.#child = fork(MAIN, [], { env, execArgv: [], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-MAX_STDERR);
    });
    this.#child.on('message', (message: FromDriver) => {
      if (message.type === 'tick') {
        this.lastTick = message;
        onTick(message);
        return;
      }
      const waiting = this.#waiting.get(message.type);
      if (waiting === undefined) this.#arrived.set(message.type, message);
      else waiting(message);
    });
    this.gone = new Promise((resolve) => {
      this.#child.once('close', () => resolve());
      this.#child.once('error', () => resolve());
    });
    this.#child.on('error', () => this.#fail('could not be started'));
    this.#child.on('close', (code, signal) => this.#fail(`ended early (${signal ?? `code ${code}`})`));
  }

  send(message: ToDriver): void {
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  /** The driver's next message of the type. Rejects with `CommandFailure` when it ends first. One wait at a time. */
  next<T extends Awaited>(type: T): Promise<Extract<FromDriver, { type: T }>> {
    const arrived = this.#arrived.get(type);
    if (arrived !== undefined) {
      this.#arrived.delete(type);
      return Promise.resolve(arrived as Extract<FromDriver, { type: T }>);
    }
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#failed = reject;
      this.#waiting.set(type, (message) => {
        this.#waiting.delete(type);
        resolve(message as Extract<FromDriver, { type: T }>);
      });
    });
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #fail(how: string): void {
    const said =
      this.#stderr
        .trim()
        .split('\n')
        .find((line) => /Error/.test(line)) ?? this.#stderr.trim().split('\n').at(-1);
    this.#failure ??= new CommandFailure(`driver ${this.index + 1} ${how}${said ? `: ${said.trim()}` : ''}`);
    this.#failed?.(this.#failure);
  }
}
