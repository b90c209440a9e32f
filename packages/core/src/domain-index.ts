import { hasSubdomains, parseDomain } from './origin-rule.js';

/**
 * The domains of many owners, by the rule of `matchesDomains`: whether a host is of any of them takes as many looks as it has
 * labels, however many domains there are.
 */
export class DomainIndex {
  /** Domain, as hosts are compared, and how many owners have it. */
  readonly #counts = new Map<string, number>();
  readonly #owned = new Map<string, ReadonlySet<string>>();

  /** Replaces what the owner had. */
  put(owner: string, domains: readonly string[]): void {
    this.delete(owner);
    const parsed = new Set(domains.flatMap((entry) => parseDomain(entry) ?? []));
    if (parsed.size === 0) return;
    this.#owned.set(owner, parsed);
    for (const domain of parsed) this.#counts.set(domain, (this.#counts.get(domain) ?? 0) + 1);
  }

  delete(owner: string): void {
    for (const domain of this.#owned.get(owner) ?? []) {
      const left = (this.#counts.get(domain) ?? 0) - 1;
      if (left > 0) this.#counts.set(domain, left);
      else this.#counts.delete(domain);
    }
    this.#owned.delete(owner);
  }

  clear(): void {
    this.#counts.clear();
    this.#owned.clear();
  }

  /** The domain of which the host is, the longest; `host` as `parseOrigin` gives it. */
  match(host: string): string | undefined {
    if (this.#counts.has(host)) return host;
    for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
      const parent = host.slice(dot + 1);
      if (hasSubdomains(parent) && this.#counts.has(parent)) return parent;
    }
    return undefined;
  }
}
