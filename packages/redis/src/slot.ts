/** CRC16 (XMODEM), as Redis Cluster takes it of a hash tag. */
const crc16 = (text: string): number => {
  let crc = 0;
  for (const byte of Buffer.from(text, 'utf8')) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc;
};

export const SLOTS = 16_384;

/** The cluster slot of a key that carries the hash tag `{tag}`. */
export const slotOfTag = (tag: string): number => crc16(tag) % SLOTS;
