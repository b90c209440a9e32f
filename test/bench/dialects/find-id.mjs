const KEY = Buffer.from('"id":"m');
const QUOTE = 0x22;

/** The number in `"id":"m<number>"` between the bounds; -1 where there is none. */
export const findId = (bytes, start, end) => {
  const at = bytes.indexOf(KEY, start);
  if (at === -1 || at >= end) return -1;
  let id = 0;
  for (let index = at + KEY.length; index < end; index += 1) {
    const byte = bytes[index];
    if (byte === QUOTE) return id;
    if (byte < 0x30 || byte > 0x39) return -1;
    id = id * 10 + byte - 0x30;
  }
  return -1;
};
