import { UsageError } from '../commands/command.js';

const MAX_ADDRESSES = 16;

const parseAddress = (text: string, protocols: readonly string[]): string | undefined => {
  if (!URL.canParse(text)) return undefined;
  const { protocol, host, pathname, username, password, search, hash } = new URL(text);
  // An address is printed: it must hold no credential.
  if (!protocols.includes(protocol) || host === '' || username + password + search + hash !== '') return undefined;
  return `${protocol}//${host}${pathname.replace(/\/+$/, '')}`;
};

/** The comma-separated addresses of an option, without trailing slashes. Throws `UsageError`, which repeats no value. */
export const parseAddresses = (option: string, text: string, protocols: readonly [string, string]): string[] => {
  const items = text.split(',').map((item) => parseAddress(item.trim(), protocols));
  const addresses = items.flatMap((item) => item ?? []);
  if (addresses.length < items.length || addresses.length > MAX_ADDRESSES) {
    throw new UsageError(
      `${option} takes up to ${MAX_ADDRESSES} addresses ${protocols[0]}//host:port or ${protocols[1]}//host:port, separated by commas`,
    );
  }
  return addresses;
};
