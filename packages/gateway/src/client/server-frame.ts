import { EPOCH_PATTERN, type ServerFrame } from '@replyx/protocol';
import { parseJsonObject } from '@replyx/protocol/schemas';

type Fields = Readonly<Record<string, unknown>>;

const isRecord = (value: unknown): value is Fields => typeof value === 'object' && value !== null;
const isOffset = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;
const isPlace = (value: unknown): boolean =>
  isRecord(value) &&
  typeof value['epoch'] === 'string' &&
  EPOCH_PATTERN.test(value['epoch']) &&
  isOffset(value['offset']);
const isConnectedPlace = (value: unknown): boolean =>
  isPlace(value) && isRecord(value) && isOffset(value['head']) && typeof value['recovered'] === 'boolean';

const isPublication = ({ offset, id, text, sender }: Fields): boolean =>
  isOffset(offset) &&
  typeof id === 'string' &&
  typeof text === 'string' &&
  isRecord(sender) &&
  typeof sender['role'] === 'string' &&
  typeof sender['id'] === 'string' &&
  (sender['name'] === undefined || typeof sender['name'] === 'string');

/** The frames that a terminal acts upon, and the fields that it relies on. */
const CHECKS: Readonly<Record<string, (frame: Fields) => boolean>> = {
  connected: (frame) =>
    isConnectedPlace(frame) &&
    typeof frame['role'] === 'string' &&
    isOffset(frame['ping_interval_ms']) &&
    (frame['internal'] === undefined || isConnectedPlace(frame['internal'])),
  message: isPublication,
  note: isPublication,
  ack: ({ id, offset }) => typeof id === 'string' && (offset === undefined || isOffset(offset)),
  error: ({ code, message, temporary }) =>
    typeof code === 'string' && typeof message === 'string' && typeof temporary === 'boolean',
  reset: (frame) => isPlace(frame) && typeof frame['track'] === 'string' && typeof frame['reason'] === 'string',
  disconnect: ({ code, reconnect }) =>
    typeof code === 'number' &&
    isRecord(reconnect) &&
    typeof reconnect['mode'] === 'string' &&
    isOffset(reconnect['delay_ms']),
};

const MAX_DEPTH = 32;

/** A frame of the gateway that a terminal acts upon; `undefined` for every other, known or not, as the contract asks. */
export const readServerFrame = (raw: string): ServerFrame | undefined => {
  const parsed = parseJsonObject(raw, MAX_DEPTH);
  if (!parsed.ok) return undefined;
  const { type } = parsed.value;
  const check = typeof type === 'string' && Object.hasOwn(CHECKS, type) ? CHECKS[type] : undefined;
  return check?.(parsed.value) === true ? (parsed.value as unknown as ServerFrame) : undefined;
};
