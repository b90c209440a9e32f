/** FNV-1a, finished so that names which differ in their last character alone are far apart. */
const score = (text: string): number => {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
};

/**
 * Which of these has a numbered share, by rendezvous hashing: all who know the same names agree, shares are about equal, and one
 * who comes or goes moves no share but its own. `undefined` where there is nobody.
 */
export const ownerOf = (share: number, names: readonly string[]): string | undefined => {
  let owner: string | undefined;
  let best = -1;
  for (const name of names) {
    const its = score(`${name}/${share}`);
    if (its > best || (its === best && owner !== undefined && name < owner)) {
      best = its;
      owner = name;
    }
  }
  return owner;
};
