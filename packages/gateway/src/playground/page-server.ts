import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Member } from '../cluster/local-cluster.js';
import { readPageFiles } from './page-files.js';
import { pageHosts, refusal } from './page-guard.js';

/** What the page is about: there once the cluster is up. */
export interface PageSubject {
  readonly dialog: string;
  readonly tokens: Readonly<Record<string, string>>;
  members(): readonly Member[];
}

export interface PageParts {
  readonly key: string;
  /** Port to ask for; another one where it is taken. */
  readonly port: number;
  readonly onBug: (error: unknown) => void;
}

export interface PageServer {
  readonly url: string;
  /** Origins from which the page's panes connect. */
  readonly origins: readonly string[];
  show(subject: PageSubject): void;
  /** Safe to call twice. */
  stop(): Promise<void>;
}

const HEADERS = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' ws://127.0.0.1:*; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store',
};

interface Answer {
  readonly status: number;
  readonly type?: string;
  readonly body?: Buffer | string;
}

const json = (status: number, body: unknown): Answer => ({
  status,
  type: 'application/json',
  body: JSON.stringify(body),
});

const nodeView = ({ id, port, internalPort, state }: Member) => ({ id, port, internal_port: internalPort, state });

const control = async (member: Member, action: 'kill' | 'start'): Promise<Answer> => {
  if (action === 'kill') return (await member.kill()) ? json(200, { id: member.id }) : json(409, { code: 'not_up' });
  try {
    await member.start();
    return json(200, { id: member.id });
  } catch (error) {
    return json(502, { code: 'not_started', detail: error instanceof Error ? error.message : String(error) });
  }
};

const one = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? undefined : value);

/** Binds 127.0.0.1. Rejects with what `listen` says. */
const listen = (server: Server, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });

/** Serves the page, what it shows and its controls, to browsers on this machine. */
export const startPageServer = async ({ key, port: wanted, onBug }: PageParts): Promise<PageServer> => {
  const files = readPageFiles();
  let subject: PageSubject | undefined;
  let port = 0;

  const route = async (request: IncomingMessage): Promise<Answer> => {
    const { method = '', url = '', headers } = request;
    const status = refusal(
      {
        method,
        host: headers.host,
        origin: headers.origin,
        fetchSite: one(headers['sec-fetch-site']),
        fetchMode: one(headers['sec-fetch-mode']),
        key: one(headers['x-control-key']),
      },
      { port, key },
    );
    if (status !== undefined) return json(status, { code: 'refused' });
    const path = url.split('?')[0] ?? '';
    const controlled = /^\/control\/nodes\/([\w-]{1,128})\/(kill|start)$/.exec(path);
    if (method !== (controlled === null ? 'GET' : 'POST')) return json(405, { code: 'method' });
    const file = files.get(path);
    if (file !== undefined) return { status: 200, ...file };
    if (subject === undefined) return json(503, { code: 'starting' });
    if (path === '/state') {
      const { dialog, tokens } = subject;
      return json(200, { control_key: key, dialog, tokens, nodes: subject.members().map(nodeView) });
    }
    const member = subject.members().find(({ id }) => id === controlled?.[1]);
    return member === undefined ? json(404, { code: 'not_found' }) : control(member, controlled?.[2] as 'kill');
  };

  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    // No request has a body that matters.
    request.resume();
    route(request)
      .catch((error: unknown): Answer => {
        onBug(error);
        return json(500, { code: 'internal' });
      })
      .then(({ status, type, body }) => {
        response.writeHead(status, { ...HEADERS, ...(type === undefined ? {} : { 'Content-Type': type }) }).end(body);
      });
  };

  const server = createServer({ requestTimeout: 10_000, maxHeaderSize: 16_384 }, answer);
  port = await listen(server, wanted).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') throw error;
    return listen(server, 0);
  });
  return {
    url: `http://127.0.0.1:${port}/`,
    origins: pageHosts(port).map((host) => `http://${host}`),
    show: (shown) => {
      subject = shown;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
