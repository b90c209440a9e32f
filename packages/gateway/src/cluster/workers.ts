import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Clock } from '@replyx/core';
import { CommandFailure } from '../commands/command.js';
import type { GatewayConfig } from '../config/gateway-config.js';
import type { Logger } from '../observability/logger.js';
import { claimPort } from './claim-port.js';
import { type Running, Supervised } from './supervised.js';
import { REPORT_DEADLINE_MS, type ReportKind, type WorkerMessage, type WorkerReports } from './worker-messages.js';
import { WorkerTotals } from './worker-totals.js';
import { WorkerWatchdog } from './worker-watchdog.js';

const BIN = fileURLToPath(new URL('../../bin/replyx.js', import.meta.url));

/** A worker that has ended in order was asked to leave: it is not started again. */
const IN_ORDER = 'code 0';
/** Over two minutes of growing delays: what fails for so long is not over by itself, and whoever runs this process is to know. */
const RESTARTS = 10;
/** How long each worker may be silent at least. */
const LEAST_SILENCE_MS = 10_000;

interface WorkersParts {
  readonly count: number;
  readonly config: GatewayConfig;
  /** Of every worker, besides what tells them apart. */
  readonly env: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** One that is ending at this moment is no error: its end is heard of by itself. */
const tell = (child: ChildProcess, message: WorkerMessage): void => {
  if (child.connected) child.send(message, () => {});
};

/** Several nodes as processes of their own that share both ports; the kernel spreads connections over them. */
export class Workers {
  readonly #parts: WorkersParts;
  readonly #workers: Supervised<Running>[] = [];
  readonly #live = new Set<ChildProcess>();
  /** Those that accept connections. */
  readonly #up = new Set<ChildProcess>();
  readonly #watchdog: WorkerWatchdog<ChildProcess>;
  readonly #totals = new WorkerTotals<ChildProcess>();
  /** Reports that are being gathered, by their number. */
  readonly #gathering = new Map<number, (from: ChildProcess, body: unknown) => void>();
  #gathered = 0;
  #isStopping = false;
  #hasFailed = false;
  #resolveEnded: (inOrder: boolean) => void = () => {};
  /** Resolves when no worker is left and none is to be started, or one is given up; with whether all ended in order. */
  readonly ended = new Promise<boolean>((resolve) => {
    this.#resolveEnded = resolve;
  });

  constructor(parts: WorkersParts) {
    this.#parts = parts;
    const { clock, config, logger } = parts;
    this.#watchdog = new WorkerWatchdog({
      clock,
      silenceMs: Math.max(LEAST_SILENCE_MS, 2 * config.node.ttlMs),
      ask: (child) => this.#askOne(child, 0, 'readiness'),
      // The kernel gives it its share of the connections all the same: it is ended, and started again.
      onStuck: (child) => {
        logger.error({ pid: child.pid }, 'worker_stuck');
        child.kill('SIGKILL');
      },
    });
  }

  /**
   * Resolves when all accept. Rejects with `CommandFailure`, and leaves nothing behind. Rejects, too, where it is stopped meanwhile:
   * then `stop` tells when nothing is left.
   */
  async start(): Promise<{ readonly port: number; readonly internalPort: number }> {
    const { count, config, clock, logger } = this.#parts;
    const { public: open, internal } = config.listen;
    const port = await claimPort(open.host, open.port);
    const internalPort = await claimPort(internal.host, internal.port);
    if (this.#isStopping) throw new CommandFailure('asked to stop before any worker was started');
    for (let number = 1; number <= count; number += 1) {
      const name = `${config.node.id}-${number}`;
      const env = { ...this.#parts.env, NODE_ID: name, PORT: String(port), INTERNAL_PORT: String(internalPort) };
      this.#workers.push(
        new Supervised({
          name,
          launch: () => this.#launch(name, env),
          clock,
          onLog: (line) => logger.error({ worker: name, line }, 'worker_ended'),
          restarts: (how) => !this.#isStopping && how !== IN_ORDER,
          onGivenUp: {
            after: RESTARTS,
            call: () => {
              this.#hasFailed = true;
              this.#resolveEnded(false);
            },
          },
        }),
      );
    }
    try {
      // The first alone: what is wrong with all of them is then told once.
      await this.#workers[0]?.start();
      await Promise.all(this.#workers.map((worker) => worker.start()));
    } catch (error) {
      // Whoever stops it waits for the workers; stopped once more, they would be hurried.
      if (!this.#isStopping) {
        this.#hasFailed = true;
        await this.stop();
      }
      throw error;
    }
    if (!this.#isStopping) this.#watchdog.start();
    return { port, internalPort };
  }

  /** Drains every worker; called again, it hurries them. Resolves when all have ended. */
  async stop(): Promise<void> {
    const kind = this.#isStopping ? 'hurry' : 'leave';
    this.#isStopping = true;
    this.#watchdog.stop();
    for (const child of this.#live) {
      if (this.#up.has(child) && child.connected) tell(child, { kind });
      else child.kill('SIGTERM');
    }
    await Promise.all(this.#workers.map((worker) => worker.stop()));
    this.#noteEnd();
  }

  /** Ends what has not left in time. */
  kill(): void {
    this.#hasFailed = true;
    for (const child of this.#live) child.kill('SIGKILL');
  }

  #askOne(child: ChildProcess, number: number, what: ReportKind): void {
    tell(child, { kind: 'report', number, what });
  }

  #launch(name: string, env: Readonly<Record<string, string>>): Promise<Running> {
    return new Promise((resolve, reject) => {
      // In a session of its own: Ctrl-C at the terminal reaches only this process, which passes it on.
      const child = fork(BIN, ['serve', '--worker'], {
        env,
        stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
        detached: true,
      });
      this.#live.add(child);
      let isUp = false;
      let words = '';
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        if (isUp) process.stderr.write(text);
        else words += text;
      });
      const ended = new Promise<string>((done) => {
        child.once('close', (code, signal) => done(signal ?? `code ${code}`));
        child.once('error', (error) => done(error.message));
      });
      void ended.then((how) => {
        this.#live.delete(child);
        this.#up.delete(child);
        this.#watchdog.forget(child);
        this.#totals.end(child);
        if (this.#isStopping && how !== IN_ORDER && how !== 'SIGTERM') this.#hasFailed = true;
        reject(new CommandFailure(words.trim().replace(/^replyx: /, '') || `worker ${name} ended with ${how}`));
        // After its supervisor has heard of it.
        setImmediate(() => this.#noteEnd());
      });
      child.on('message', (message: WorkerMessage) => {
        // One that is being started may ask already.
        if (message.kind === 'up') this.#up.add(child);
        if (this.#up.has(child)) this.#watchdog.heard(child);
        if (message.kind !== 'up') {
          this.#onMessage(child, message);
          return;
        }
        isUp = true;
        process.stderr.write(words);
        // `stop` has asked it to end already: asked twice, it would hurry.
        resolve({ ended, stop: async () => void (await ended), kill: () => child.kill('SIGKILL') });
      });
    });
  }

  #noteEnd(): void {
    if (this.#live.size > 0) return;
    if (this.#isStopping || this.#workers.every(({ state, isRestarting }) => state === 'down' && !isRestarting))
      this.#resolveEnded(!this.#hasFailed);
  }

  #onMessage(from: ChildProcess, message: WorkerMessage): void {
    if (message.kind === 'reported') this.#gathering.get(message.number)?.(from, message.body);
    else if (message.kind === 'ask') this.#gather(from, message);
  }

  /**
   * Asks every worker that accepts connections, and answers for all. One that is being started is not asked: nobody is sent to it. One
   * that does not answer in time is not ready, since the kernel sends connections to it.
   */
  #gather(asker: ChildProcess, { number, what }: Extract<WorkerMessage, { kind: 'ask' }>): void {
    const gathered = ++this.#gathered;
    const bodies: unknown[] = [];
    const missing = new Set(this.#up);
    const answer = (): void => {
      cancel();
      this.#gathering.delete(gathered);
      if (what === 'readiness' && missing.size > 0) bodies.push(['worker_silent']);
      if (what === 'metrics')
        bodies.push(...this.#totals.besides((child) => this.#up.has(child) && !missing.has(child)));
      tell(asker, { kind: 'answer', number, bodies });
    };
    const cancel = this.#parts.clock.schedule(REPORT_DEADLINE_MS, answer);
    this.#gathering.set(gathered, (from, body) => {
      if (!missing.delete(from)) return;
      if (what === 'metrics') this.#totals.note(from, body as WorkerReports['metrics']);
      bodies.push(body);
      if (missing.size === 0) answer();
    });
    for (const child of missing) this.#askOne(child, gathered, what);
  }
}
