import { readFileSync } from 'node:fs';
import { CLIENT_FRAMES, CLOSE_CODES, SERVER_FRAMES, WS_ROUTES } from '@replyx/protocol';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, it } from 'vitest';
import { GENERATED_TABLES, withTable } from '../src/docs/generated-tables.js';
import { assistantRoutes } from '../src/http/assistant-routes.js';
import { asyncApiDocument } from '../src/http/asyncapi.js';
import { controlRoutes } from '../src/http/control-routes.js';
import { deadLetterRoutes } from '../src/http/dead-letter-routes.js';
import { dialogRoutes } from '../src/http/dialog-routes.js';
import { documentRoutes } from '../src/http/document-routes.js';
import { handoffRoutes } from '../src/http/handoff-routes.js';
import { lockRoutes } from '../src/http/lock-routes.js';
import { nodeRoutes } from '../src/http/node-routes.js';
import { openApiDocument } from '../src/http/openapi.js';
import { ROUTES } from '../src/http/route-table.js';
import { streamRoutes } from '../src/http/stream-routes.js';
import { tokenRoutes } from '../src/http/token-routes.js';
import { publicRoutes } from '../src/public/public-routes.js';
import { PUBLIC_ROUTES } from '../src/public/route-table.js';

it.each(GENERATED_TABLES)(
  'docs/$page holds the current $marker (npm run build && node packages/gateway/scripts/write-docs.mjs)',
  (generated) => {
    const page = readFileSync(new URL(`../docs/${generated.page}`, import.meta.url), 'utf8');
    expect(page).toBe(withTable(page, generated));
  },
);

/** Their parts are for handlers, which are not called here. */
const nothing = {} as never;
const served = [
  ...dialogRoutes(nothing),
  ...lockRoutes(nothing),
  ...handoffRoutes(nothing),
  ...streamRoutes(nothing),
  ...assistantRoutes(nothing, false),
  ...deadLetterRoutes(nothing),
  ...tokenRoutes(nothing),
  ...controlRoutes(nothing),
  ...nodeRoutes(nothing),
  ...documentRoutes([], '0'),
];
const openapi = openApiDocument(Object.values(ROUTES), '1.2.3');
const asyncapi = asyncApiDocument('1.2.3');

const nameOf = ({ method, path }: { method: string; path: string }) => `${method} ${path}`;

it('the table of routes holds what is served, each once', () => {
  expect(served.map(nameOf).sort()).toEqual(Object.values(ROUTES).map(nameOf).sort());
  expect(new Set(served.map(({ id }) => id)).size).toBe(served.length);
});

/** Every object in a document. */
const walk = function* (value: unknown): Generator<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield value as Record<string, unknown>;
  for (const child of Object.values(value)) yield* walk(child);
};

const resolve = (document: unknown, pointer: string): unknown =>
  pointer
    .slice(2)
    .split('/')
    .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key.replaceAll('~1', '/')], document);

it.each([
  ['OpenAPI', openapi],
  ['AsyncAPI', asyncapi],
])('every reference of the %s document leads somewhere', (_name, document) => {
  const references = [...walk(document)].flatMap(({ $ref }) => (typeof $ref === 'string' ? [$ref] : []));
  expect(references.length).toBeGreaterThan(20);
  expect(references.filter((pointer) => resolve(document, pointer) === undefined)).toEqual([]);
  // Nothing of the generator is left: an address of its own would move what references lead to.
  expect([...walk(document)].filter((schema) => '$id' in schema || '$schema' in schema)).toEqual([]);
});

it('every schema is one that a strict validator takes', () => {
  const schemasOf = (document: object) =>
    (document as { components: { schemas: Record<string, object> } }).components.schemas;
  for (const [ajv, document] of [
    [new Ajv2020({ strict: true, strictRequired: false }), openapi],
    [new Ajv({ strict: true, strictRequired: false }), asyncapi],
  ] as const) {
    ajv.addVocabulary(['components']);
    ajv.addSchema({ $id: 'document', components: { schemas: schemasOf(document) } }, 'document');
    for (const name of Object.keys(schemasOf(document)))
      expect(ajv.getSchema(`document#/components/schemas/${name}`)).toBeTypeOf('function');
  }
});

it('the table of public routes holds what is served, each once', () => {
  const servedPublicly = publicRoutes({ origins: {}, events: {} } as never);
  const described = servedPublicly.filter(({ endpoint }) => endpoint !== 'asset');
  expect(described.map(nameOf).sort()).toEqual(PUBLIC_ROUTES.map(nameOf).sort());
  const ids = [...PUBLIC_ROUTES, ...Object.values(ROUTES)].map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
});

it('the OpenAPI document has every route of both listeners', () => {
  const paths = openapi['paths'] as Record<string, Record<string, unknown>>;
  const braced = (path: string) => path.replace(/:(\w+)/g, '{$1}');
  for (const { method, path } of PUBLIC_ROUTES) {
    expect(paths[braced(path)]).toHaveProperty(method);
    expect(paths[braced(path)]).toHaveProperty('servers');
  }
  for (const { method, path } of Object.values(ROUTES))
    expect(paths[braced(path)]).toHaveProperty(method === 'del' ? 'delete' : method);
  for (const path of Object.values(WS_ROUTES)) expect(paths[braced(path)]).toHaveProperty('get');
});

it('the AsyncAPI document has every frame in its direction, for those who may have it', () => {
  const operations = asyncapi['operations'] as Record<string, { action: string; messages: { $ref: string }[] }>;
  const named = (kind: string, action: string) =>
    Object.entries(operations)
      .filter(([name, operation]) => name.startsWith(`${kind}.`) && operation.action === action)
      .flatMap(([, operation]) => operation.messages.map(({ $ref }) => $ref.split('/').at(-1)));
  const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
  for (const kind of Object.keys(WS_ROUTES)) {
    const mine = (frames: Record<string, { who: string }>) =>
      Object.entries(frames).flatMap(([type, { who }]) =>
        who === 'all' || kind === 'operator' ? [capital(type)] : [],
      );
    expect(named(kind, 'receive')).toEqual([...mine(CLIENT_FRAMES).map((name) => `Client${name}`), 'ClientLegacyPing']);
    expect(named(kind, 'send')).toEqual([...mine(SERVER_FRAMES).map((name) => `Server${name}`), 'ServerLegacyPong']);
  }
  expect((asyncapi['x-close-codes'] as unknown[]).length).toBe(Object.keys(CLOSE_CODES).length);
});

it('what the gateway sends is open to new fields, what it takes is closed', () => {
  const { schemas } = asyncapi['components'] as { schemas: Record<string, { additionalProperties?: boolean }> };
  expect(schemas['ClientMessage']?.additionalProperties).toBe(false);
  expect(schemas['ServerMessage']?.additionalProperties).toBeUndefined();
});
