import { installPeer } from '../peers/install.mjs';
import { bare } from './bare.mjs';
import { replyx } from './replyx.mjs';
import { socketIo } from './socket-io.mjs';
import { soketi } from './soketi.mjs';

const PEERS = [socketIo, soketi];

/** Who runs in these scenarios: a peer that is not wanted or cannot be had is left out, the latter with a line that says why. */
export const contendersFor = (scenarios, wanted) => {
  const contenders = { bare, replyx, control: bare };
  for (const contender of PEERS) {
    const { peer, name } = contender;
    const isAsked = wanted?.includes(peer) ?? true;
    if (!isAsked || !scenarios.some(({ contenders: keys }) => keys.includes(peer))) continue;
    const { folder, why } = installPeer(peer);
    if (folder === undefined) console.log(`without ${name}: it cannot be installed here (${why})`);
    else contenders[peer] = { ...contender, folder };
  }
  return contenders;
};
