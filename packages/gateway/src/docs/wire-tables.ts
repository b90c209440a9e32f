import { CLIENT_FRAMES, CLOSE_CODES, ERROR_CODES, SERVER_FRAMES } from '@replyx/protocol';
import {
  API_ANSWERS,
  API_BODIES,
  type ApiAnswerName,
  CLIENT_FRAME_SCHEMAS,
  SERVER_FRAME_SCHEMAS,
} from '@replyx/protocol/schemas';
import { z } from 'zod';
import { problemsOf, ROUTES, type RouteAnswer, type RouteDescription } from '../http/route-table.js';
import { PUBLIC_ROUTES } from '../public/route-table.js';

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('');

const code = (text: string): string => `\`${text}\``;

type ObjectSchema = z.core.JSONSchema.BaseSchema;

const isTag = (name: string, schema: ObjectSchema | boolean): boolean =>
  name === 'type' || (name === 'action' && typeof schema === 'object' && schema.const !== undefined);

const fieldsOfObject = ({ properties = {}, required = [] }: ObjectSchema, nested: boolean): string[] =>
  Object.entries(properties)
    .filter(([name, schema]) => !isTag(name, schema))
    .map(([name, schema]) => {
      const field = code(required.includes(name) ? name : `${name}?`);
      if (typeof schema === 'boolean' || !nested) return field;
      if (schema.enum !== undefined) return `${field}: ${schema.enum.map((value) => code(String(value))).join(', ')}`;
      const parts = schema.type === 'object' ? fieldsOfObject(schema, false) : [];
      return parts.length === 0 ? field : `${field} {${parts.join(', ')}}`;
    });

/** A schema's fields, optional ones with a question mark; without the one that says what it is. */
const fields = (schema: z.ZodType, io: 'input' | 'output', nested = true): string => {
  const { oneOf, anyOf, ...whole } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  if (anyOf !== undefined) {
    return (anyOf as ObjectSchema[]).map((one) => fieldsOfObject(one, false).join(', ')).join('; or ');
  }
  if (oneOf === undefined) return fieldsOfObject(whole, nested).join('; ');
  return (oneOf as ObjectSchema[])
    .map((one) => {
      const type = one.properties?.['type'] ?? one.properties?.['action'];
      const name = typeof type === 'object' ? String(type.const) : '';
      return `${code(name)}: ${fieldsOfObject(one, false).join(', ')}`;
    })
    .join('; ');
};

const limited = (who: 'all' | 'operators', means: string): string =>
  who === 'operators' ? `Operators only. ${means}` : means;

export const clientFrameTable = (): string =>
  table(
    ['`type`', 'fields', 'answered by', 'what it does'],
    Object.entries(CLIENT_FRAMES).map(([type, { who, answers, means }]) => [
      code(type),
      fields(CLIENT_FRAME_SCHEMAS[type as keyof typeof CLIENT_FRAMES], 'input'),
      answers.map(code).join(', '),
      limited(who, means),
    ]),
  );

export const serverFrameTable = (): string =>
  table(
    ['`type`', 'fields', 'what it says'],
    Object.entries(SERVER_FRAMES).map(([type, { who, means }]) => {
      const schema = SERVER_FRAME_SCHEMAS[type as keyof typeof SERVER_FRAMES];
      // The list of error and close codes is a table of its own.
      return [code(type), fields(schema, 'output', type !== 'error' && type !== 'disconnect'), limited(who, means)];
    }),
  );

export const errorCodeTable = (): string =>
  table(
    ['code', 'temporary', 'HTTP', 'means'],
    Object.entries(ERROR_CODES).map(([name, { temporary, http, means }]) => [
      code(name),
      temporary ? 'yes' : 'no',
      String(http),
      means,
    ]),
  );

export const closeCodeTable = (): string =>
  table(
    ['code', 'name', 'reconnect', 'means'],
    Object.values(CLOSE_CODES).map(({ code: number, name, reconnect, means }) => [
      String(number),
      name,
      code(reconnect),
      means,
    ]),
  );

const answerText = ([status, { body }]: readonly [string, RouteAnswer]): string => {
  if (body === undefined) return status;
  if (!(body in API_ANSWERS)) return `${status} ${body}`;
  return `${status} ${fields(API_ANSWERS[body as ApiAnswerName], 'output', false)}`;
};

const takes = (route: RouteDescription): string => {
  if (route.query !== undefined) return `query: ${fields(route.query, 'input', false)}`;
  return route.body === undefined ? '' : fields(API_BODIES[route.body], 'input', false);
};

const isPublic = ({ tag }: RouteDescription): boolean => tag === 'visitors';

const routeRow = (route: RouteDescription): string[] => [
  code(`${route.method === 'del' ? 'DELETE' : route.method.toUpperCase()} ${route.path.replace(/:(\w+)/g, '{$1}')}`),
  route.open === true && !isPublic(route) ? `${route.summary} No key.` : route.summary,
  takes(route),
  Object.entries(route.answers).map(answerText).join('; '),
  problemsOf(route)
    .filter((problem) => problem !== 'internal' && problem !== 'unauthorized')
    .map(code)
    .join(', '),
];

const ROUTE_HEAD = ['route', 'what it does', 'takes', 'answers', 'refuses with'];

export const routeTable = (): string => table(ROUTE_HEAD, Object.values(ROUTES).map(routeRow));

export const publicRouteTable = (): string => table(ROUTE_HEAD, PUBLIC_ROUTES.map(routeRow));
