import { type Control, readBanNetwork } from '@replyx/core';

/** Bans an address on all nodes for its threat score; an IPv6 address as the /64 that it is counted by. */
export const banForScore = async (control: Control, addressKey: string, forMs: number): Promise<void> => {
  const read = readBanNetwork(addressKey);
  if (!read.ok) throw new TypeError(`the address ${addressKey} ${read.why}`);
  const nowMs = await control.nowMs();
  await control.write({
    kind: 'ban',
    id: read.id,
    network: read.network,
    source: 'score',
    createdMs: nowMs,
    expiresMs: nowMs + forMs,
  });
};
