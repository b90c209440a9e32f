import { hasSubdomains, parseDomain } from './origin-rule.js';

/** Many lists of domains as one: whether a host is of any of them, by a look-up for each of the host's labels. */
export class DomainIndex {
  /** How many lists name a domain. */
  private readonly counts = new Map<string, number>();

  add(domains: readonly string[]): void {
    for (const domain of this.parsed(domains)) this.counts.set(domain, (this.counts.get(domain) ?? 0) + 1);
  }

  remove(domains: readonly string[]): void {
    for (const domain of this.parsed(domains)) {
      const count = (this.counts.get(domain) ?? 0) - 1;
      if (count > 0) this.counts.set(domain, count);
      else this.counts.delete(domain);
    }
  }

  /** As `matchesDomains` over all lists together. `host` as `parseOrigin` gives it. */
  has(host: string): boolean {
    if (this.counts.has(host)) return true;
    for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
      const parent = host.slice(dot + 1);
      if (hasSubdomains(parent) && this.counts.has(parent)) return true;
    }
    return false;
  }

  private parsed(domains: readonly string[]): string[] {
    return domains.flatMap((domain) => parseDomain(domain) ?? []);
  }
}
