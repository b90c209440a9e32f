import { once } from 'node:events';
import { createServer, type Server, Socket } from 'node:net';
import { freePort } from './free-port.js';
import { Lane, type LaneFaults } from './tcp-lane.js';

/** `up` is towards the server behind the proxy, `down` towards the client. */
export type Direction = 'up' | 'down' | 'both';

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  readonly lanes: readonly [Lane, Lane];
  /** Connects to the server; false while the way up is a black hole, as a SYN would be lost there. */
  connected: boolean;
  /** The first bytes from the client, at most OPENING_BYTES. */
  opening: string;
}

const OPENING_BYTES = 1_024;

/** Which replies get lost: the next so many chunks from the server, or the chunks for which it says true. */
export type ReplyRule = number | ((chunk: Buffer) => boolean);

/** A TCP proxy on 127.0.0.1 that breaks its connections on demand. */
export class TcpProxy {
  readonly host = '127.0.0.1';
  readonly port: number;
  /** Bytes delivered since the start, per direction. */
  readonly bytes = { up: 0, down: 0 };
  /** Connections accepted since the start. */
  accepted = 0;
  readonly #target: { host: string; port: number };
  readonly #faults: Record<'up' | 'down', LaneFaults> = {
    up: { held: false, delayMs: 0, bytesPerSecond: 0 },
    down: { held: false, delayMs: 0, bytesPerSecond: 0 },
  };
  readonly #links = new Set<Link>();
  readonly #rules = new Set<(chunk: Buffer) => boolean>();
  #mutes: (opening: string) => boolean = () => false;
  #edit: (chunk: Buffer) => void = () => {};
  #server: Server | undefined;

  constructor(target: { host: string; port: number }, port: number) {
    this.#target = target;
    this.port = port;
  }

  /** `host:port`, for a URL. */
  get address(): string {
    return `${this.host}:${this.port}`;
  }

  /** Open connections. */
  connections(): number {
    return this.#links.size;
  }

  /**
   * A network that loses everything: bytes and ends of connections vanish, nobody is told, new connections are
   * accepted and hear nothing. Up to 1 MiB for each connection and direction is kept, then the sender's buffers fill.
   */
  blackhole(direction: Direction = 'both'): void {
    this.#set(direction, (faults) => {
      faults.held = true;
    });
  }

  /**
   * A black hole on the way down for those connections only, open or new, whose first bytes from the client match: for instance
   * the ones that carry subscriptions. Their ends vanish too.
   */
  mute(which: (opening: string) => boolean): void {
    this.#mutes = which;
    this.#pump();
  }

  /**
   * Takes all faults away but `refuse`. What a black hole has held arrives now, as TCP would send it again: no
   * connection has a hole in its stream.
   */
  heal(): void {
    this.#rules.clear();
    this.#mutes = () => false;
    this.#edit = () => {};
    this.#set('both', (faults) => {
      faults.held = false;
      faults.delayMs = 0;
      faults.bytesPerSecond = 0;
    });
    for (const link of this.#links) this.#connect(link);
  }

  /** Every chunk arrives `ms` later than it would. */
  delay(ms: number, direction: Direction = 'both'): void {
    this.#set(direction, (faults) => {
      faults.delayMs = ms;
    });
  }

  /** Limits every connection on its own; 0 takes the limit away. */
  throttle(bytesPerSecond: number, direction: Direction = 'both'): void {
    this.#set(direction, (faults) => {
      faults.bytesPerSecond = bytesPerSecond;
    });
  }

  /**
   * Loses answers: what the server sends next is swallowed and its connection cut, so the command has run and its
   * caller does not know. Returns a count of the replies that were lost.
   */
  dropReplies(rule: ReplyRule = 1): () => number {
    let left = typeof rule === 'number' ? rule : Number.POSITIVE_INFINITY;
    let dropped = 0;
    const matches = (chunk: Buffer): boolean => {
      if (left === 0 || (typeof rule === 'function' && !rule(chunk))) return false;
      left--;
      dropped++;
      if (left === 0) this.#rules.delete(matches);
      return true;
    };
    if (left > 0) this.#rules.add(matches);
    return () => dropped;
  }

  /** Lets `edit` change what the server sends, in place. */
  editReplies(edit: (chunk: Buffer) => void): void {
    this.#edit = edit;
  }

  /** RST to both ends of every connection. */
  reset(): void {
    for (const link of this.#links) this.#drop(link, (socket) => socket.resetAndDestroy());
  }

  /** Closes every connection at both ends. */
  cut(): void {
    for (const link of this.#links) this.#drop(link, (socket) => socket.destroy());
  }

  /** New connections are refused by the system (ECONNREFUSED); the open ones live on. */
  refuse(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  /** Ends `refuse`. */
  async accept(): Promise<void> {
    if (this.#server !== undefined) return;
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#open(client));
    server.listen({ port: this.port, host: this.host });
    await once(server, 'listening');
    this.#server = server;
  }

  /** Cuts everything and stops listening. Closing twice is safe. */
  async close(): Promise<void> {
    this.refuse();
    this.cut();
  }

  #set(direction: Direction, change: (faults: LaneFaults) => void): void {
    if (direction !== 'down') change(this.#faults.up);
    if (direction !== 'up') change(this.#faults.down);
    this.#pump();
  }

  #pump(): void {
    for (const link of this.#links) for (const lane of link.lanes) lane.pump();
  }

  #open(client: Socket): void {
    this.accepted++;
    const server = new Socket({ allowHalfOpen: true });
    server.setNoDelay(true);
    const up = new Lane(client, server, this.#faults.up, {
      intercept: (chunk) => {
        if (link.opening.length < OPENING_BYTES) link.opening += chunk.toString('latin1', 0, OPENING_BYTES);
        return false;
      },
      isMuted: () => false,
      delivered: (bytes) => {
        this.bytes.up += bytes;
      },
    });
    const down = new Lane(server, client, this.#faults.down, {
      intercept: (chunk) => {
        this.#edit(chunk);
        return this.#lose(link, chunk);
      },
      isMuted: () => this.#mutes(link.opening),
      delivered: (bytes) => {
        this.bytes.down += bytes;
      },
    });
    const link: Link = { client, server, lanes: [up, down], connected: false, opening: '' };
    this.#links.add(link);
    const forget = (): void => {
      if (client.destroyed && server.destroyed) this.#links.delete(link);
    };
    client.once('close', forget);
    server.once('close', forget);
    this.#connect(link);
  }

  #connect(link: Link): void {
    if (link.connected || this.#faults.up.held || link.server.destroyed) return;
    link.connected = true;
    link.server.connect(this.#target);
  }

  #lose(link: Link, chunk: Buffer): boolean {
    for (const rule of this.#rules) {
      if (!rule(chunk)) continue;
      this.#drop(link, (socket) => socket.destroy());
      return true;
    }
    return false;
  }

  #drop(link: Link, end: (socket: Socket) => void): void {
    for (const lane of link.lanes) lane.discard();
    end(link.client);
    end(link.server);
    this.#links.delete(link);
  }
}

/** Starts a proxy on a free port in front of `host` (default 127.0.0.1) and `port`. */
export async function startProxy(target: { host?: string; port: number }): Promise<TcpProxy> {
  for (let attempt = 1; ; attempt++) {
    const proxy = new TcpProxy({ host: target.host ?? '127.0.0.1', port: target.port }, await freePort());
    try {
      await proxy.accept();
      return proxy;
    } catch (error) {
      if (attempt === 5) throw error;
    }
  }
}
