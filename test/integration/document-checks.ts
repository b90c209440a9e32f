import type { TestClient } from '@replyx/testkit';
import { Ajv, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';

/** A document as it is walked: what is no object there is cast where it is read. */
type Json = { readonly [key: string]: Json };

export interface Documents {
  readonly openapi: Json;
  readonly asyncapi: Json;
}

/**
 * What the gateway sends is documented as open to later fields. Here every object with named fields is closed, so that a
 * field that is not documented is found.
 */
const closed = (schema: unknown): unknown => {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  const isShape = inner['type'] === 'object' && inner['properties'] !== undefined;
  return isShape && !('additionalProperties' in inner) ? { ...inner, additionalProperties: false } : inner;
};

const at = (document: Json, pointer: string): Json =>
  pointer
    .slice(2)
    .split('/')
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce<Json>((here, key) => here[key] as Json, document);

const pointer = (...keys: readonly string[]): string =>
  `#/${keys.map((key) => key.replaceAll('~', '~0').replaceAll('/', '~1')).join('/')}`;

/** Compiles schemas of a document where they stand, by pointer. */
const compiler = (ajv: Ajv | Ajv2020, document: Json) => {
  ajv.addVocabulary(Object.keys(document));
  ajv.addSchema(closed({ $id: 'document', ...document }) as object);
  return (place: string): ValidateFunction => {
    const validate = ajv.getSchema(`document${encodeURI(place)}`);
    if (validate === undefined) throw new Error(`nothing at ${place}`);
    return validate;
  };
};

const judged = (validate: ValidateFunction, value: unknown): string | undefined =>
  validate(value) ? undefined : `${JSON.stringify(validate.errors)} in ${JSON.stringify(value)}`.slice(0, 1_000);

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  /** Parsed where it is JSON, else the text; `undefined` where there is none. */
  readonly body: unknown;
}

export interface Operation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly needsKey: boolean;
  readonly hasBody: boolean;
  /** `200`, or `409 conflict`: every answer that the document names. */
  readonly answers: readonly string[];
}

/** Holds HTTP traffic against the OpenAPI document. What is found is a text; `undefined` is in order. */
export const httpChecks = ({ openapi }: Pick<Documents, 'openapi'>) => {
  const schemaAt = compiler(new Ajv2020({ strict: true, strictRequired: false, strictTypes: false }), openapi);
  const paths = openapi['paths'] as Json;
  const codesOf = (response: Json): string[] => {
    const problem = response['content']?.['application/problem+json'] as Json | undefined;
    const parts = problem?.['schema']?.['allOf'] as unknown as readonly Json[] | undefined;
    return (parts?.[1]?.['properties']?.['code']?.['enum'] ?? []) as unknown as string[];
  };
  const operations: Operation[] = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item as Json).flatMap(([method, operation]) => {
      if (method === 'servers') return [];
      const { operationId, security, requestBody, responses } = operation as Json;
      return {
        id: String(operationId),
        method,
        path,
        needsKey: security === undefined,
        hasBody: requestBody !== undefined,
        answers: Object.entries(responses as Json).flatMap(([status, response]) => {
          const codes = codesOf(response as Json);
          return codes.length === 0 ? [status] : codes.map((code) => `${status} ${code}`);
        }),
      };
    }),
  );
  const operationOf = (method: string, path: string): Operation => {
    const found = operations.find(
      (operation) =>
        operation.method === method &&
        new RegExp(`^${operation.path.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]+')}$`).test(path),
    );
    if (found === undefined) throw new Error(`${method} ${path} is not documented`);
    return found;
  };
  return {
    operations,
    operationOf,
    answer: ({ path, method }: Operation, { status, contentType, body }: Answer): string | undefined => {
      const response = at(openapi, pointer('paths', path, method, 'responses'))[String(status)] as Json | undefined;
      if (response === undefined) return `the status ${status} is not documented`;
      const content = response['content'] as Json | undefined;
      if (content === undefined) return body === undefined ? undefined : 'a body where none is documented';
      const [type = ''] = contentType.split(';');
      if (content[type] === undefined) return `the type ${type} is not documented`;
      const place = pointer('paths', path, method, 'responses', String(status), 'content', type, 'schema');
      return judged(schemaAt(place), body);
    },
    request: ({ path, method }: Operation, body: unknown): string | undefined =>
      judged(schemaAt(pointer('paths', path, method, 'requestBody', 'content', 'application/json', 'schema')), body),
  };
};

export type Kind = 'operator' | 'site' | 'widget';

/** Holds frames against the AsyncAPI document. */
export const frameChecks = ({ asyncapi }: Pick<Documents, 'asyncapi'>) => {
  const schemaAt = compiler(new Ajv({ strict: true, strictRequired: false, strictTypes: false }), asyncapi);
  const operations = asyncapi['operations'] as Json;
  /** The messages of one direction of a channel, by the name that their frames bear. */
  const messagesOf = (kind: Kind, action: 'send' | 'receive'): ReadonlyMap<string, string> =>
    new Map(
      Object.entries(operations)
        .filter(([name, operation]) => name.startsWith(`${kind}.`) && String((operation as Json)['action']) === action)
        .flatMap(([, operation]) => (operation as Json)['messages'] as unknown as readonly { $ref: string }[])
        .map(({ $ref }) => {
          const place = (at(asyncapi, $ref) as unknown as { $ref: string }).$ref;
          return [String(at(asyncapi, place)['name']), place];
        }),
    );
  const check = (kind: Kind, action: 'send' | 'receive', raw: unknown): string | undefined => {
    // The first system's heartbeat is bare text, and named by it.
    const name = typeof raw === 'string' ? raw : String((raw as { type?: unknown }).type);
    const place = messagesOf(kind, action).get(name);
    if (place === undefined) return `${name} is not documented for ${kind}`;
    return judged(schemaAt(`${place}/payload`), raw);
  };
  return {
    sentNames: (kind: Kind): string[] => [...messagesOf(kind, 'send').keys()],
    receivedNames: (kind: Kind): string[] => [...messagesOf(kind, 'receive').keys()],
    fromServer: (kind: Kind, frame: unknown) => check(kind, 'send', frame),
    fromClient: (kind: Kind, frame: unknown) => check(kind, 'receive', frame),
    /** Everything that a client was sent. */
    client: (kind: Kind, { frames }: TestClient): string[] =>
      frames.flatMap((frame) => check(kind, 'send', frame.type === 'text' ? frame['raw'] : frame) ?? []),
  };
};
