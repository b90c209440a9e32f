import { lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { isInNetworks, isPublicAddress, parseNetworks } from '@replyx/core';

/** The address that a webhook leads to is not one that may be connected to. */
export class ForbiddenTarget extends Error {
  override readonly name = 'ForbiddenTarget';
}

export interface TargetGuardConfig {
  /** False: everything may be connected to. */
  readonly isOn: boolean;
  /** Networks that may be connected to although they are not of the public internet; canonical. */
  readonly allow: readonly string[];
}

export interface TargetGuard {
  /** Throws `ForbiddenTarget` where the host is an address that may not be connected to; a name is judged by `lookup`. */
  check(hostname: string): void;
  /** For a connection: gives the addresses of a name that may be connected to, so that what is judged is what is connected to. */
  readonly lookup: LookupFunction;
}

type Resolve = (
  hostname: string,
  options: { readonly family?: number | undefined; readonly all: true },
  done: (error: Error | null, addresses: readonly { readonly address: string; readonly family: number }[]) => void,
) => void;

const resolveBySystem: Resolve = (hostname, { family }, done) => {
  systemLookup(hostname, { all: true, ...(family === undefined ? {} : { family }) }, (error, addresses) =>
    done(error, addresses ?? []),
  );
};

/** Keeps webhooks, whose URLs tenants choose, from reaching what only this node can reach. */
export const createTargetGuard = (
  { isOn, allow }: TargetGuardConfig,
  resolve: Resolve = resolveBySystem,
): TargetGuard => {
  const networks = parseNetworks(allow);
  const isAllowed = (address: string): boolean => !isOn || isPublicAddress(address) || isInNetworks(address, networks);
  return {
    check(hostname) {
      const address = hostname.replace(/^\[(.*)\]$/, '$1');
      if (isIP(address) !== 0 && !isAllowed(address)) throw new ForbiddenTarget();
    },
    lookup(hostname, options, done) {
      const family = typeof options.family === 'number' && options.family !== 0 ? options.family : undefined;
      resolve(hostname, { family, all: true }, (error, addresses) => {
        if (error !== null) {
          done(error, '', 0);
          return;
        }
        const allowed = addresses.filter(({ address }) => isAllowed(address));
        const [first] = allowed;
        if (first === undefined) done(new ForbiddenTarget(), '', 0);
        else if (options.all === true) done(null, [...allowed]);
        else done(null, first.address, first.family);
      });
    },
  };
};
