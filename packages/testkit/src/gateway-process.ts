import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { freePort } from './free-port.js';
import { type LogTail, logTail } from './log-tail.js';
import { cpuSecondsOf, rssBytesOf } from './proc-stat.js';
import { guardProcess } from './process-guard.js';
import { sentTexts } from './sent-texts.js';
import { TEST_API_KEY, TEST_SECRET_KEY, TEST_SITE_SECRET } from './tokens.js';
import { within } from './wait.js';

/** Environment of a process under test; a name that is given as undefined is absent. */
export type ProcessEnv = Readonly<Record<string, string | number | boolean | undefined>>;

// From src and from dist alike, the repository is three folders up.
const COMMAND = fileURLToPath(new URL('../../../packages/gateway/bin/replyx.js', import.meta.url));
const START_GUARD_MS = 30_000;
const STOP_GUARD_MS = 60_000;
const START_ATTEMPTS = 5;
/** What a port says that another process has taken since it was found free. */
const CLASH = /^replyx: cannot listen on \S+:(\d+):/m;

// What the tests run in must not leak into what they test: a REDIS_URL of the developer's least of all.
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'NODE_V8_COVERAGE'];

function environment(given: ProcessEnv): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of INHERITED) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  for (const [name, value] of Object.entries(given)) if (value !== undefined) env[name] = String(value);
  return env;
}

const DEFAULTS: ProcessEnv = {
  ENVIRONMENT: 'test',
  HOST: '127.0.0.1',
  // A machine that is shared lags for reasons of others.
  WS_SHED_LAG_MS: 0,
  SECRET_KEY: TEST_SECRET_KEY,
  SITE_SECRET: TEST_SITE_SECRET,
  API_KEYS: TEST_API_KEY,
};

interface Listening {
  readonly port: number;
  readonly internalPort: number;
  readonly nodeId: string;
}

function listeningOf(line: string, event: string): Listening | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const entry = JSON.parse(line) as Record<string, unknown>;
    if (entry['event'] !== event) return undefined;
    const { port, internal_port: internalPort, node_id: nodeId } = entry;
    if (typeof port !== 'number' || typeof internalPort !== 'number') return undefined;
    return { port, internalPort, nodeId: String(nodeId) };
  } catch {
    return undefined;
  }
}

/** How a process ended; one of the two is null. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A JWT, or the start of one. */
const TOKEN = /eyJ[\w-]{10,}\.eyJ/;

/** A gateway node in a process of its own; it dies with the test process. */
export class GatewayProcess {
  readonly host = '127.0.0.1';
  readonly #given: ProcessEnv;
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;
  #log: LogTail = logTail();
  #listening: Listening = { port: 0, internalPort: 0, nodeId: '' };
  #leak: string | undefined;
  #exit: Promise<ProcessExit> = Promise.resolve({ code: null, signal: null });

  /** `args`: what `replyx serve` is given. */
  constructor(env: ProcessEnv, args: readonly string[] = []) {
    this.#given = env;
    this.#args = args;
  }

  get port(): number {
    return this.#listening.port;
  }

  get internalPort(): number {
    return this.#listening.internalPort;
  }

  get nodeId(): string {
    return this.#listening.nodeId;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get wsUrl(): string {
    return `ws://${this.host}:${this.port}`;
  }

  get httpUrl(): string {
    return `http://${this.host}:${this.port}`;
  }

  get internalUrl(): string {
    return `http://${this.host}:${this.internalPort}`;
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Resolves when the present process has ended. */
  get exited(): Promise<ProcessExit> {
    return this.#exit;
  }

  /** The code with which the present process ends; null when a signal ended it. */
  get exitCode(): Promise<number | null> {
    return this.#exit.then((exit) => exit.code);
  }

  /** The lines of both outputs, at most the last 5000. */
  logs(): string[] {
    return this.#log.lines();
  }

  /** Those of the lines that are JSON objects. */
  logEntries(): Record<string, unknown>[] {
    const entries: Record<string, unknown>[] = [];
    for (const line of this.#log.lines()) {
      if (!line.startsWith('{')) continue;
      try {
        entries.push(JSON.parse(line) as Record<string, unknown>);
      } catch {
        // A line that was cut for its length.
      }
    }
    return entries;
  }

  /** Starts the process that is down and waits for its log line `listening`, of workers for that of all. `env` joins what was given first. */
  async start(env: ProcessEnv = {}): Promise<void> {
    if (this.running) throw new Error('the gateway runs already');
    const child = spawn(process.execPath, [COMMAND, 'serve', ...this.#args], {
      env: environment({ ...DEFAULTS, ...this.#given, ...env }),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    guardProcess(child);
    const log = logTail();
    log.onLine((line) => {
      if (TOKEN.test(line)) this.#leak ??= `a token is in the log: ${line.slice(0, 200)}`;
      else if (sentTexts.findIn(line) !== undefined)
        this.#leak ??= `a message's text is in the log: ${line.slice(0, 500)}`;
    });
    log.follow(child.stdout);
    log.follow(child.stderr);
    this.#child = child;
    this.#log = log;
    this.#exit = once(child, 'close').then(([code, signal]) => ({ code, signal }) as ProcessExit);
    const listening = new Promise<Listening>((resolve) => {
      log.onLine((line) => {
        const found = listeningOf(line, this.#args.includes('--workers') ? 'workers_listening' : 'listening');
        if (found !== undefined) resolve(found);
      });
    });
    const early = this.#exit.then(({ code, signal }): never => {
      throw new Error(`the gateway ended before it listened (${signal ?? `code ${code}`}):\n${log.last()}`);
    });
    early.catch(() => {});
    try {
      this.#listening = await within(
        Promise.race([listening, early]),
        START_GUARD_MS,
        () => `the gateway did not listen within ${START_GUARD_MS} ms:\n${log.last()}`,
      );
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  /** SIGTERM (the drain), then waits for the exit. Stopping twice is safe. */
  async stop(): Promise<ProcessExit> {
    this.#child?.kill('SIGTERM');
    const exit = await within(this.#exit, STOP_GUARD_MS, () => `the gateway did not stop:\n${this.#log.last()}`);
    this.#checkLog();
    return exit;
  }

  /** SIGKILL; waits for the end. */
  async kill(): Promise<ProcessExit> {
    this.#child?.kill('SIGKILL');
    const exit = await this.#exit;
    this.#checkLog();
    return exit;
  }

  /** Whatever a test is about, neither a token nor a message's text may have reached a log in it. */
  #checkLog(): void {
    if (this.#leak !== undefined) throw new Error(this.#leak);
  }

  /** SIGSTOP: the node hangs with all its sockets open. */
  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  /** Ends the process (SIGTERM, or SIGKILL with `how: 'kill'`) and starts another one on the same ports. */
  async restart(how: 'stop' | 'kill' = 'stop'): Promise<void> {
    const { port, internalPort } = this.#listening;
    await this[how]();
    await this.start({ PORT: port, INTERNAL_PORT: internalPort });
  }

  /** CPU time of the present process in seconds. Linux only. */
  cpuSeconds(): number {
    return cpuSecondsOf(this.pid);
  }

  /** Resident memory of the present process in bytes. Linux only. */
  rssBytes(): number {
    return rssBytesOf(this.pid);
  }
}

/**
 * Starts `replyx serve` on 127.0.0.1 with free ports and the test secrets, and waits until it listens. Of the
 * environment of the tests it sees the PATH and little more. A clash of a port that was not given is retried. Rejects with
 * the last lines of its log.
 */
export async function startGateway(env: ProcessEnv = {}, args: readonly string[] = []): Promise<GatewayProcess> {
  // Not port 0: the system's choice lies among the ports of outgoing connections, and a client that knocks at such a
  // port while the gateway is down can be given the port itself, and meet itself.
  for (let attempt = 1; ; attempt++) {
    const ports = { PORT: await freePort(), INTERNAL_PORT: await freePort() };
    const gateway = new GatewayProcess({ ...ports, ...env }, args);
    try {
      await gateway.start();
      return gateway;
    } catch (error) {
      const [, port] = CLASH.exec(String(error)) ?? [];
      const isGiven = [env['PORT'], env['INTERNAL_PORT']].some((given) => String(given) === port);
      if (port === undefined || isGiven || attempt === START_ATTEMPTS) throw error;
    }
  }
}

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the `replyx` command to its end, with nothing in its environment but what is given. Guard: 60 s. */
export async function runReplyx(args: readonly string[], env: ProcessEnv = {}): Promise<CommandResult> {
  const child = spawn(process.execPath, [COMMAND, ...args], {
    env: environment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  guardProcess(child);
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  try {
    const name = `replyx ${args.join(' ')}`;
    const ended = once(child, 'close');
    const [code] = await within(ended, STOP_GUARD_MS, () => `${name} did not end:\n${output.stdout}${output.stderr}`);
    return { code: code as number | null, ...output };
  } finally {
    child.kill('SIGKILL');
  }
}
