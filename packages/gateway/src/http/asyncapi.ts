import {
  BOUNDS,
  CLIENT_FRAMES,
  CLOSE_CODES,
  type ClientFrameEntry,
  type ConnectionKind,
  ERROR_CODES,
  LEGACY_PING,
  LEGACY_PONG,
  SERVER_FRAMES,
  type ServerFrameEntry,
  SUBPROTOCOL,
  TOKEN_SUBPROTOCOL_PREFIX,
  WS_ROUTES,
} from '@replyx/protocol';
import {
  CLIENT_FRAME_SCHEMAS,
  handoffState,
  publicSender,
  readMark,
  SERVER_FRAME_SCHEMAS,
  sender,
} from '@replyx/protocol/schemas';
import type { z } from 'zod';
import { type JsonSchema, jsonSchemas, reference, schemaName } from './json-schemas.js';

type Direction = 'Client' | 'Server';

const messageName = (direction: Direction, type: string): string => `${direction}${schemaName(type, '')}`;

const payloads = (direction: Direction, frames: Readonly<Record<string, z.ZodType>>): Record<string, z.ZodType> =>
  Object.fromEntries(Object.entries(frames).map(([type, schema]) => [messageName(direction, type), schema]));

const schemas = (): Record<string, JsonSchema> => ({
  ...jsonSchemas(payloads('Client', CLIENT_FRAME_SCHEMAS), { target: 'draft-7', io: 'input' }),
  ...jsonSchemas(
    {
      ...payloads('Server', SERVER_FRAME_SCHEMAS),
      Sender: sender,
      PublicSender: publicSender,
      ReadMark: readMark,
      HandoffState: handoffState,
    },
    { target: 'draft-7', io: 'output' },
  ),
});

const clientFrames: [string, ClientFrameEntry][] = Object.entries(CLIENT_FRAMES);
const serverFrames: [string, ServerFrameEntry][] = Object.entries(SERVER_FRAMES);

/** The first system's heartbeat is no JSON. */
const LEGACY = {
  ClientLegacyPing: { text: LEGACY_PING, means: "The first system's heartbeat: bare text." },
  ServerLegacyPong: { text: LEGACY_PONG, means: 'Its answer.' },
} as const;

const messages = (): Record<string, JsonSchema> => ({
  ...Object.fromEntries(
    (
      [
        ['Client', clientFrames],
        ['Server', serverFrames],
      ] as const
    ).flatMap(([direction, frames]) =>
      frames.map(([type, { means }]) => {
        const name = messageName(direction, type);
        return [name, { name: type, title: name, summary: means, payload: reference(name) }];
      }),
    ),
  ),
  ...Object.fromEntries(
    Object.entries(LEGACY).map(([name, { text, means }]) => [
      name,
      { name: text, title: name, summary: means, contentType: 'text/plain', payload: { type: 'string', const: text } },
    ]),
  ),
});

const seenBy = (kind: ConnectionKind, who: 'all' | 'operators'): boolean => who === 'all' || kind === 'operator';

const receivedOn = (kind: ConnectionKind): string[] => [
  ...clientFrames.filter(([, { who }]) => seenBy(kind, who)).map(([type]) => messageName('Client', type)),
  'ClientLegacyPing',
];

const sentOn = (kind: ConnectionKind): string[] => [
  ...serverFrames.filter(([, { who }]) => seenBy(kind, who)).map(([type]) => messageName('Server', type)),
  'ServerLegacyPong',
];

const text = (description: string): JsonSchema => ({ type: 'string', description });

const queryOf = (kind: ConnectionKind): JsonSchema => ({
  type: 'object',
  properties: {
    epoch: text('With `offset`: the position to resume the main track from.'),
    offset: text('Offset of the last publication that the client has.'),
    ...(kind === 'operator'
      ? {
          note_epoch: text('With `note_offset`: the same of the internal track.'),
          note_offset: text('See `note_epoch`.'),
        }
      : {}),
    client_id: text('One per tab.'),
    token: text('The token, where `WS_ALLOW_QUERY_TOKEN` is true; also as `site_token`.'),
  },
});

const WHO: Readonly<Record<ConnectionKind, string>> = {
  operator: 'An operator, one dialog. Operator token.',
  site: "A visitor, by a script on a customer's site. Visitor token of kind `site`; its Origin must be of the token's domains.",
  widget: 'A visitor, by the hosted widget page. Visitor token of kind `widget`.',
};

const channelOf = (kind: ConnectionKind): JsonSchema => ({
  address: WS_ROUTES[kind].replace(/:(\w+)/g, '{$1}'),
  title: schemaName(kind, ''),
  description: WHO[kind],
  servers: [{ $ref: '#/servers/public' }],
  parameters: { dialog_id: { description: '1 to 128 letters, digits, `_` and `-`.' } },
  messages: Object.fromEntries(
    [...receivedOn(kind), ...sentOn(kind)].map((name) => [name, { $ref: `#/components/messages/${name}` }]),
  ),
  bindings: {
    ws: {
      method: 'GET',
      query: queryOf(kind),
      headers: {
        type: 'object',
        properties: {
          'Sec-WebSocket-Protocol': text(
            `\`${SUBPROTOCOL}, ${TOKEN_SUBPROTOCOL_PREFIX}<jwt>\`; the answer selects \`${SUBPROTOCOL}\`.`,
          ),
          Authorization: text('`Bearer <jwt>`, where the client can set it.'),
        },
      },
      bindingVersion: '0.1.0',
    },
  },
});

const operationsOf = (kind: ConnectionKind): [string, JsonSchema][] => {
  const channel = { $ref: `#/channels/${kind}` };
  const inChannel = (names: readonly string[]) =>
    names.map((name) => ({ $ref: `#/channels/${kind}/messages/${name}` }));
  const replies: Readonly<Record<string, readonly string[]>> = {
    ping: ['ServerPong'],
    ...Object.fromEntries(
      clientFrames
        .filter(([, { answers }]) => answers.length > 0)
        .map(([type, { answers }]) => [type, answers.map((answer) => messageName('Server', answer))]),
    ),
  };
  const received = clientFrames
    .filter(([, { who }]) => seenBy(kind, who))
    .map(([type, { means }]): [string, JsonSchema] => {
      const reply = replies[type];
      return [
        `${kind}.${type}`,
        {
          action: 'receive',
          channel,
          summary: means,
          messages: inChannel([messageName('Client', type)]),
          ...(reply === undefined ? {} : { reply: { channel, messages: inChannel(reply) } }),
        },
      ];
    });
  return [
    ...received,
    [
      `${kind}.legacyPing`,
      {
        action: 'receive',
        channel,
        summary: LEGACY.ClientLegacyPing.means,
        messages: inChannel(['ClientLegacyPing']),
        reply: { channel, messages: inChannel(['ServerLegacyPong']) },
      },
    ],
    [
      `${kind}.frames`,
      { action: 'send', channel, summary: 'What the gateway sends.', messages: inChannel(sentOn(kind)) },
    ],
  ];
};

const KINDS = Object.keys(WS_ROUTES) as ConnectionKind[];

/** The AsyncAPI 3.0 document of the sockets. `receive` is what the gateway receives, `send` what it sends. */
export const asyncApiDocument = (version: string): JsonSchema => ({
  asyncapi: '3.0.0',
  info: {
    title: 'ReplyX Gateway',
    version,
    description:
      `One JSON object a text frame, at most ${BOUNDS.frameBytes} bytes from a client. Every client frame with an \`id\` gets ` +
      'one answer that carries it. A field that a client frame should not have, or has twice, is refused with `bad_frame`; ' +
      'server frames may gain fields and types: ignore those you do not know. Text counts UTF-16 units.',
  },
  defaultContentType: 'application/json',
  servers: {
    public: {
      host: '{host}',
      protocol: 'wss',
      description: 'The public listener, behind its balancer; plain `ws` in development.',
      variables: { host: { default: '127.0.0.1:8080' } },
      security: ['socketProtocol', 'bearer', 'queryToken'].map((name) => ({
        $ref: `#/components/securitySchemes/${name}`,
      })),
    },
  },
  channels: Object.fromEntries(KINDS.map((kind) => [kind, channelOf(kind)])),
  operations: Object.fromEntries(KINDS.flatMap(operationsOf)),
  components: {
    securitySchemes: {
      socketProtocol: {
        type: 'httpApiKey',
        in: 'header',
        name: 'Sec-WebSocket-Protocol',
        description: `\`${SUBPROTOCOL}, ${TOKEN_SUBPROTOCOL_PREFIX}<jwt>\``,
      },
      bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
      queryToken: { type: 'httpApiKey', in: 'query', name: 'token' },
    },
    messages: messages(),
    schemas: schemas(),
  },
  'x-subprotocols': [SUBPROTOCOL],
  'x-close-codes': Object.values(CLOSE_CODES),
  'x-error-codes': Object.entries(ERROR_CODES).map(([code, { temporary, means }]) => ({ code, temporary, means })),
});
