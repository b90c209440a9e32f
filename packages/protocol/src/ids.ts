/** Dialog, assistant, tenant, client and connection ids. */
export const ID_PATTERN = /^[A-Za-z0-9_-]{1,128}$/;

/** `sub`, `sender.id`, `jti`, `role`, names: printable text; control characters would split logs and keys. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it refuses
export const SUBJECT_PATTERN = /^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]{1,128}$/u;

/** A frame's own `id`, chosen by its sender. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it refuses
export const FRAME_ID_PATTERN = /^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]{1,64}$/u;

/** The random name of one life of a track's history. */
export const EPOCH_PATTERN = /^[A-Za-z0-9_-]{1,64}$/;

export const isId = (value: unknown): value is string => typeof value === 'string' && ID_PATTERN.test(value);
export const isSubject = (value: unknown): value is string =>
  typeof value === 'string' && value.isWellFormed() && SUBJECT_PATTERN.test(value);
