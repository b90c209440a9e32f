const POLYNOMIAL = 0x1021;

const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ POLYNOMIAL : crc << 1;
  return crc & 0xffff;
});

/** CRC16 (XMODEM), as Redis Cluster takes it of a hash tag. */
const crc16 = (text: string): number => {
  let crc = 0;
  for (const byte of Buffer.from(text, 'utf8')) crc = ((crc << 8) & 0xffff) ^ (TABLE[(crc >> 8) ^ byte] as number);
  return crc;
};

export const SLOTS = 16_384;

/** The cluster slot of a key that carries the hash tag `{tag}`. */
export const slotOfTag = (tag: string): number => crc16(tag) % SLOTS;
