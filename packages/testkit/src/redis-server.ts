import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from './free-port.js';
import { scratchPath } from './process-guard.js';
import { findRedis, type RedisSource } from './redis-binary.js';
import { runImage } from './redis-container.js';
import { type RedisRun, runExecutable } from './redis-process.js';
import { type RespValue, respCall } from './resp.js';
import { until } from './wait.js';

export interface RedisOptions {
  /** Default false. */
  readonly appendonly?: boolean;
  /** Default `everysec`, as Redis itself. */
  readonly appendfsync?: 'always' | 'everysec' | 'no';
  /** Snapshot rule such as `60 1`; default none. */
  readonly save?: string;
  /** A cluster of this one node, which holds all slots. Default false. */
  readonly cluster?: boolean;
  readonly password?: string;
  /** Further lines of the configuration file, for instance `rename-command CONFIG ""`. */
  readonly config?: readonly string[];
  /** Default: what `findRedis()` finds. */
  readonly source?: RedisSource;
}

/** A copy of the data on disk, made by `saveCopy`. */
export interface RedisCopy {
  readonly folder: string;
}

const START_ATTEMPTS = 5;
const CLASH = /address already in use|port is already allocated/i;

/** A Redis of the test's own on 127.0.0.1. It may be stopped, killed and emptied; it dies with the test process. */
export class RedisServer {
  readonly host = '127.0.0.1';
  readonly port: number;
  /** Folder of the data files. */
  readonly dir: string;
  readonly configFile: string;
  readonly #options: RedisOptions;
  readonly #source: RedisSource;
  readonly #busPort: number;
  #run: RedisRun | undefined;

  constructor(source: RedisSource, port: number, busPort: number, options: RedisOptions) {
    const home = scratchPath('redis');
    this.port = port;
    this.dir = join(home, 'data');
    this.configFile = join(home, 'redis.conf');
    this.#options = options;
    this.#source = source;
    this.#busPort = busPort;
  }

  /** In the form that `REDIS_URL` takes: `redis://` or, with `cluster`, `redis+cluster://`. */
  get url(): string {
    const scheme = this.#options.cluster === true ? 'redis+cluster' : 'redis';
    const { password } = this.#options;
    const login = password === undefined ? '' : `:${encodeURIComponent(password)}@`;
    return `${scheme}://${login}${this.host}:${this.port}`;
  }

  /** Of the running server; undefined while it is down. */
  get pid(): number | undefined {
    return this.running ? this.#run?.pid : undefined;
  }

  get running(): boolean {
    return this.#run?.running === true;
  }

  /** The last lines that the server logged in its present or last life. */
  logs(): string[] {
    return this.#run?.log.lines() ?? [];
  }

  /** Starts the server that is down, on the same port and data, and waits until it answers. */
  async start(): Promise<void> {
    if (this.running) throw new Error('redis-server runs already');
    await mkdir(this.dir, { recursive: true });
    await writeFile(this.configFile, this.#configuration());
    const ports = this.#options.cluster === true ? [this.port, this.#busPort] : [this.port];
    this.#run =
      this.#source.kind === 'image'
        ? await runImage(this.#source.image, this.configFile, ports)
        : runExecutable(this.#source.path, this.configFile, this.dir);
    const run = this.#run;
    let died = false;
    await until(
      async () => {
        if (!run.running) {
          died = true;
          return true;
        }
        // Only the server that was started counts: another one on this port has another process id.
        const info = String(await this.#call(['INFO', 'server'], 1_000));
        return this.#source.kind === 'image' || info.includes(`process_id:${run.pid}\r`);
      },
      { what: `redis-server on port ${this.port}`, hangGuardMs: 20_000, everyMs: 10 },
    ).catch((error: unknown) => {
      throw new Error(`${(error as Error).message}; its log:\n${run.log.last()}`);
    });
    if (died) throw new Error(`redis-server ended at once; its log:\n${run.log.last()}`);
    await this.#untilLoaded();
  }

  /** SIGTERM: Redis saves as it is configured to; waits for the end. Stopping twice is safe. */
  async stop(): Promise<void> {
    await this.#run?.signal('SIGTERM');
  }

  /** SIGKILL; waits for the end. */
  async kill(): Promise<void> {
    await this.#run?.signal('SIGKILL');
  }

  /** SIGSTOP: connections stay open and are accepted by the system, nothing answers. */
  async pause(): Promise<void> {
    await this.#run?.signal('SIGSTOP');
  }

  async resume(): Promise<void> {
    await this.#run?.signal('SIGCONT');
  }

  /** Stops the server (kills it with `how: 'kill'`) where it runs, and starts it on the same port and data. */
  async restart(how: 'stop' | 'kill' = 'stop'): Promise<void> {
    await this[how]();
    await this.start();
  }

  /** Copies the data as it lies on disk now; without an append-only file it is saved first. */
  async saveCopy(): Promise<RedisCopy> {
    if (this.running && this.#options.appendonly !== true) await this.cli('SAVE');
    const folder = scratchPath('redis-copy');
    await cp(this.dir, folder, { recursive: true });
    return { folder };
  }

  /** Rolls back: kills the server where it runs, puts the copy in place of its data, starts it on the same port. */
  async restoreCopy(copy: RedisCopy): Promise<void> {
    await this.kill();
    await rm(this.dir, { recursive: true, force: true });
    await cp(copy.folder, this.dir, { recursive: true });
    await this.start();
  }

  async flushAll(): Promise<void> {
    await this.cli('FLUSHALL');
  }

  /** One command on a connection of its own; 10 s deadline. Rejects with RespError for an error reply. */
  cli(...args: (string | number | Uint8Array)[]): Promise<RespValue> {
    return this.#call(args, 10_000);
  }

  /** CPU time of the present process in seconds. */
  cpuSeconds(): number {
    if (this.#run === undefined) throw new Error('redis-server was never started');
    return this.#run.cpuSeconds();
  }

  #call(args: readonly (string | number | Uint8Array)[], timeoutMs: number): Promise<RespValue> {
    const { host, port } = this;
    return respCall({ host, port, password: this.#options.password, timeoutMs }, ...args);
  }

  #configuration(): string {
    const { appendonly = false, appendfsync = 'everysec', save, cluster, password, config = [] } = this.#options;
    const contained = this.#source.kind === 'image';
    const lines = [
      `port ${this.port}`,
      `bind ${contained ? '0.0.0.0' : this.host}`,
      `protected-mode ${contained ? 'no' : 'yes'}`,
      `dir "${this.dir}"`,
      `appendonly ${appendonly ? 'yes' : 'no'}`,
      `appendfsync ${appendfsync}`,
      `save ${save ?? '""'}`,
      'daemonize no',
      'logfile ""',
    ];
    if (password !== undefined) lines.push(`requirepass "${password}"`);
    // The default bus port is 10000 above the port, which may be taken.
    if (cluster === true) lines.push('cluster-enabled yes', `cluster-port ${this.#busPort}`);
    if (cluster === true && contained) lines.push(`cluster-announce-ip ${this.host}`);
    return `${[...lines, ...config].join('\n')}\n`;
  }

  async #untilLoaded(): Promise<void> {
    await until(async () => (await this.cli('PING')) === 'PONG', { what: `PONG from port ${this.port}`, everyMs: 10 });
    if (this.#options.cluster !== true) return;
    const state = async (): Promise<string> => String(await this.cli('CLUSTER', 'INFO'));
    // A restarted node knows its slots from its own file.
    if ((await state()).includes('cluster_slots_assigned:0\r')) await this.cli('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383);
    await until(async () => (await state()).includes('cluster_state:ok'), { what: 'cluster_state:ok', everyMs: 10 });
  }
}

/** Starts a Redis on a free port; an address clash is retried. Rejects with the last lines of its log. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const source = options.source ?? (await findRedis());
  for (let attempt = 1; ; attempt++) {
    const server = new RedisServer(source, await freePort(), await freePort(), options);
    try {
      await server.start();
      return server;
    } catch (error) {
      await server.kill().catch(() => {});
      if (attempt === START_ATTEMPTS || !CLASH.test(String(error))) throw error;
    }
  }
}
