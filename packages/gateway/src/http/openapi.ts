import { ERROR_CODES, type ErrorName, ID_PATTERN, WS_ROUTES } from '@replyx/protocol';
import { API_ANSWERS, API_BODIES, problemBody, SERVER_FRAME_SCHEMAS, sender } from '@replyx/protocol/schemas';
import { z } from 'zod';
import { PUBLIC_ROUTES } from '../public/route-table.js';
import { type JsonSchema, jsonSchemas, reference, schemaName } from './json-schemas.js';
import { problemsOf, type RouteAnswer, type RouteDescription } from './route-table.js';

const TARGET = 'draft-2020-12';

const renamed = <T>(table: Readonly<Record<string, T>>, suffix: string): Record<string, T> =>
  Object.fromEntries(Object.entries(table).map(([name, value]) => [schemaName(name, suffix), value]));

const schemas = (): Record<string, JsonSchema> => ({
  ...jsonSchemas(renamed(API_BODIES, 'Body'), { target: TARGET, io: 'input' }),
  ...jsonSchemas(
    {
      ...renamed(API_ANSWERS, 'Answer'),
      Problem: problemBody,
      Message: SERVER_FRAME_SCHEMAS.message,
      Note: SERVER_FRAME_SCHEMAS.note,
      Sender: sender,
    },
    { target: TARGET, io: 'output' },
  ),
});

/** One answer with `application/problem+json`, for every code of one status. */
const problemAnswer = (codes: readonly ErrorName[]): JsonSchema => ({
  description: codes.map((code) => `\`${code}\`: ${ERROR_CODES[code].means}`).join(' '),
  ...(codes.includes('unauthorized') ? { headers: { 'WWW-Authenticate': { schema: { const: 'Bearer' } } } } : {}),
  content: {
    'application/problem+json': {
      schema: { allOf: [reference('Problem'), { properties: { code: { enum: codes } } }] },
    },
  },
});

const problemAnswers = (codes: readonly ErrorName[]): Record<string, JsonSchema> => {
  // Codes of one status stand together.
  const statuses = new Set(codes.map((code) => ERROR_CODES[code].http));
  return Object.fromEntries(
    [...statuses].map((status) => [status, problemAnswer(codes.filter((code) => ERROR_CODES[code].http === status))]),
  );
};

/** Answers that no schema describes. */
const TEXT_TYPES: Partial<Record<NonNullable<RouteAnswer['body']>, string>> = {
  text: 'text/plain',
  page: 'text/html',
  events: 'text/event-stream',
};

const answerOf = ({ means, body }: RouteAnswer): JsonSchema => {
  if (body === undefined) return { description: means };
  if (body !== 'document' && TEXT_TYPES[body] !== undefined)
    return { description: means, content: { [TEXT_TYPES[body]]: { schema: { type: 'string' } } } };
  const schema = body === 'document' ? { type: 'object' } : reference(schemaName(body, 'Answer'));
  return { description: means, content: { 'application/json': { schema } } };
};

const pathParameters = (path: string): JsonSchema[] =>
  [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string', pattern: ID_PATTERN.source },
  }));

const queryParameters = (query: z.ZodObject | undefined): JsonSchema[] => {
  if (query === undefined) return [];
  const { properties = {}, required = [] } = z.toJSONSchema(query, { io: 'output', unrepresentable: 'any' });
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
};

const operationOf = (route: RouteDescription, security?: readonly JsonSchema[]): JsonSchema => {
  const parameters = [...pathParameters(route.path), ...queryParameters(route.query)];
  return {
    operationId: route.id,
    tags: [route.tag],
    summary: route.summary,
    ...(route.open === true ? { security: [] } : security === undefined ? {} : { security }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: { 'application/json': { schema: reference(schemaName(route.body, 'Body')) } },
          },
        }),
    responses: {
      // A status of the route's own stands before a problem's.
      ...problemAnswers(problemsOf(route)),
      ...Object.fromEntries(Object.entries(route.answers).map(([status, answer]) => [status, answerOf(answer)])),
    },
  };
};

const PUBLIC_SERVERS = [
  {
    url: 'https://{host}',
    description: 'The public listener, behind its balancer.',
    variables: { host: { default: '127.0.0.1:8080' } },
  },
];

/** The upgrade of a socket: a refusal that a browser must be able to read is a close code after it. */
const socketOperation = (kind: string, path: string): JsonSchema => ({
  operationId: `open${schemaName(kind, 'Socket')}`,
  tags: ['sockets'],
  summary: `Opens a WebSocket (${kind}); its frames are in /v1/asyncapi.json.`,
  description:
    'The token travels in `Sec-WebSocket-Protocol`, `Authorization` or, where allowed, the query. What is wrong with it, ' +
    'with the Origin or with the dialog is told after the upgrade by a `disconnect` frame and a close code.',
  security: [{ socketProtocol: [] }, { token: [] }, { queryToken: [] }],
  parameters: pathParameters(path),
  responses: {
    101: {
      description: 'Upgraded.',
      headers: { 'Sec-WebSocket-Protocol': { description: '`replyx.v1`, where offered.', schema: { type: 'string' } } },
    },
    404: problemAnswer(['not_found']),
    426: {
      ...problemAnswer(['bad_frame']),
      description: 'Another version of the WebSocket protocol than 13.',
      headers: { 'Sec-WebSocket-Version': { schema: { const: '13' } } },
    },
    503: { ...problemAnswer(['unavailable']), description: 'The node is being drained.' },
  },
});

const braced = (path: string): string => path.replace(/:(\w+)/g, '{$1}');

const pathsOf = (
  routes: readonly RouteDescription[],
  { servers, security }: { readonly servers?: readonly JsonSchema[]; readonly security?: readonly JsonSchema[] } = {},
): Record<string, JsonSchema> => {
  const paths: Record<string, JsonSchema> = {};
  for (const route of routes) {
    const path = braced(route.path);
    const method = route.method === 'del' ? 'delete' : route.method;
    paths[path] = {
      ...(servers === undefined ? {} : { servers }),
      ...paths[path],
      [method]: operationOf(route, security),
    };
  }
  return paths;
};

const publicPaths = (): Record<string, JsonSchema> => ({
  ...pathsOf(PUBLIC_ROUTES, { servers: PUBLIC_SERVERS, security: [{ token: [] }, { queryToken: [] }] }),
  ...Object.fromEntries(
    Object.entries(WS_ROUTES).map(([kind, path]) => [
      braced(path),
      { servers: PUBLIC_SERVERS, get: socketOperation(kind, path) },
    ]),
  ),
});

/** The OpenAPI 3.1 document of both listeners. */
export const openApiDocument = (routes: readonly RouteDescription[], version: string): JsonSchema => ({
  openapi: '3.1.0',
  jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
  info: {
    title: 'ReplyX Gateway',
    version,
    description:
      'The internal listener, for backends, and the HTTP side of the public listener. Errors are `application/problem+json` ' +
      'with a stable `code`; a `temporary` one may be retried unchanged. Answers may gain fields: ignore those you do not ' +
      'know. A field that a body should not have is refused.',
  },
  servers: [{ url: '/', description: 'The internal listener that serves this document.' }],
  security: [{ apiKey: [] }],
  tags: [
    { name: 'dialogs', description: 'Messages, events and records of dialogs.' },
    { name: 'assistants', description: 'The directory of assistants.' },
    { name: 'inbox', description: 'What backends were not given.' },
    { name: 'tokens', description: 'Tokens for clients.' },
    { name: 'control', description: 'Revocations, bans and disconnects.' },
    { name: 'cluster', description: 'The nodes.' },
    { name: 'node', description: 'Probes and metrics of this node; no key.' },
    { name: 'documents', description: 'This document, and that of the frames.' },
    { name: 'visitors', description: 'The public listener: what a widget does without a socket.' },
    { name: 'sockets', description: 'The public listener.' },
  ],
  paths: { ...pathsOf(routes), ...publicPaths() },
  components: {
    securitySchemes: {
      apiKey: { type: 'http', scheme: 'bearer', description: 'One of `API_KEYS`.' },
      token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
      socketProtocol: {
        type: 'apiKey',
        in: 'header',
        name: 'Sec-WebSocket-Protocol',
        description: '`replyx.v1, replyx.token.<jwt>`',
      },
      queryToken: {
        type: 'apiKey',
        in: 'query',
        name: 'token',
        description: 'Also `site_token`; where `WS_ALLOW_QUERY_TOKEN` is true.',
      },
    },
    schemas: schemas(),
  },
});
