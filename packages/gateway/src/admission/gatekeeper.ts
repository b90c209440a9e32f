import {
  type Backplane,
  type Ban,
  type ClientAddress,
  type Clock,
  parseNetworks,
  parseOrigin,
  type Random,
  ThreatScore,
} from '@replyx/core';
import { CLOSE_CODES, type CloseName, type ConnectionKind } from '@replyx/protocol';
import { bearerToken } from '../auth/token-transport.js';
import type { GatewayConfig } from '../config/gateway-config.js';
import type { Logger } from '../observability/logger.js';
import type { Metrics } from '../observability/metrics.js';
import { createSecurityLog, type SecurityEvent, type SecurityFields, sampleOf } from '../observability/security-log.js';
import type { Endpoint, PublicRequest, Refusal } from '../public/public-http.js';
import { refusalProblem } from '../public/refusals.js';
import type { SessionLimits } from '../public/session-routes.js';
import { AddressGuard, OFFENCES, type OnRefused, type Taken } from './address-guard.js';
import type { Screening, UpgradeRequest, Verdict } from './admission.js';
import { createClientAddresses, type PeerRequest } from './client-addresses.js';
import type { IsForeign, PageRequest } from './foreign-origin.js';
import type { FloodRefusal, Greeting } from './greeting.js';

export interface GatekeeperParts {
  readonly config: Pick<GatewayConfig, 'rateLimits' | 'bans' | 'trustedProxies' | 'proxyProtocol'>;
  readonly backplane: Pick<Backplane, 'limiter' | 'health'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: () => Metrics;
  readonly isDraining: () => boolean;
  /** What has been revoked of late is not known here: nobody is to be served by a credential that may have fallen. */
  readonly isControlStale: () => boolean;
  readonly banOf: (address: ClientAddress) => Ban | undefined;
  /** New dialogs that an assistant may have in the window, by its own limit or the node's. */
  readonly sessionLimitOf: (assistantId: string) => number;
  readonly isForeign: IsForeign;
  /** Bans an address on all nodes. */
  readonly ban: (addressKey: string, forMs: number) => Promise<void>;
  readonly onBug: (error: unknown) => void;
}

const REFUSAL_EVENTS: Partial<Record<CloseName, SecurityEvent>> = {
  AUTH_FAILED: 'credential_refused',
  FORBIDDEN_DOMAIN: 'origin_refused',
  REVOKED: 'revoked_credential_used',
  NOT_FOUND: 'id_probed',
};

/** Where a credential is served without a look at the verdict on a connection. */
const BY_CREDENTIAL: ReadonlySet<Endpoint> = new Set<Endpoint>(['sessions', 'messages']);

export interface Gatekeeper {
  readonly guard: AddressGuard;
  readonly threat: ThreatScore;
  readonly greet: (peer: PeerRequest) => Greeting;
  /** One connect: a socket or a stream of events; `refused` where its credential was. */
  readonly connect: (from: PageRequest & { readonly address: ClientAddress }, refused?: CloseName) => Promise<Taken>;
  /** By what the cluster counts of public HTTP; a stream of events counts as a connect where it is admitted. */
  readonly limit: (request: PublicRequest) => Promise<Refusal | undefined>;
  readonly sessions: SessionLimits;
  /** The credential of a request without a verdict was refused: counted, and written to the log. */
  readonly onHttpRefused: OnRefused;
  /** By what is counted of an API key; throws `Problem`. */
  readonly limitApi: (authorization: string | undefined) => Promise<void>;
  /** Counts a verdict, and logs what is of interest to security. */
  note(kind: ConnectionKind, verdict: FloodRefusal | Screening | Verdict | 'gone', request?: UpgradeRequest): void;
  stop(): void;
}

const refusalOf = (taken: Taken): Refusal | undefined => {
  if (taken.status === 'taken') return undefined;
  if (taken.status === 'unavailable') return { status: 503, reason: 'backplane_away' };
  return { status: 429, reason: 'limited', retryAfterMs: taken.retryAfterMs };
};

/** A header that names an origin, as it may stand in a log line. */
const shownOrigin = (origin: string | undefined): string | undefined =>
  origin === undefined ? undefined : (parseOrigin(origin)?.canonical ?? sampleOf(origin));

/** Wires what decides by address, and writes each of its events' metric and log line together. */
export const createGatekeeper = (parts: GatekeeperParts): Gatekeeper => {
  const { config, backplane, clock, random, metrics } = parts;
  const log = createSecurityLog(parts.logger, clock);
  const threat = new ThreatScore({
    limiter: backplane.limiter,
    clock,
    banScore: config.bans.score,
    allow: parseNetworks([...config.bans.allow, ...config.trustedProxies]),
    maxAddresses: config.rateLimits.maxAddresses,
    ban: parts.ban,
    onBanned: (address, { score, forMs }) => {
      metrics().banned();
      log('address_banned', { address, score, for_seconds: Math.round(forMs / 1000) });
    },
    onSpared: (address, why) => {
      metrics().spared(why);
      log('ban_spared', {
        address,
        why,
        ...(why === 'allowed'
          ? {}
          : { hint: 'if this is a proxy or balancer of yours, name it in WS_TRUSTED_PROXIES' }),
      });
    },
    onBug: parts.onBug,
  });
  const guard = new AddressGuard({
    limiter: backplane.limiter,
    rateLimits: config.rateLimits,
    threat,
    isBanned: (address) => parts.banOf(address) !== undefined,
    isAway: () => backplane.health().reasons.includes('redis_unreachable'),
    clock,
    random,
    onLimited: (limit, subject, dryRun) => {
      metrics().limited(limit, dryRun);
      log('address_limited', {
        limit,
        dry_run: dryRun,
        ...(subject.kind === 'ip'
          ? { address: subject.key }
          : subject.kind === 'a'
            ? { assistant_id: subject.key }
            : {}),
      });
    },
  });
  const addressOf = createClientAddresses({
    trustedProxies: config.trustedProxies,
    proxyProtocol: config.proxyProtocol,
  });

  const logRefused = (code: CloseName, from: Parameters<OnRefused>[1], fields: SecurityFields): void => {
    const event = REFUSAL_EVENTS[code];
    if (event === undefined) return;
    log(event, {
      address: from.address.text,
      ...fields,
      ...(event === 'origin_refused' ? { origin: shownOrigin(from.origin) } : {}),
    });
  };

  return {
    guard,
    threat,
    greet: (peer) => {
      if (parts.isDraining()) return { greeting: 'refuse', refusal: { status: 503, reason: 'draining' } };
      const address = addressOf(peer);
      const refusal = guard.screen(address, () => parts.isForeign(peer.page()));
      return refusal === undefined ? { greeting: 'welcome', address } : { greeting: 'refuse', refusal };
    },
    connect: (from, refused) =>
      guard.connect(from.address, () => parts.isForeign(from), refused === undefined ? undefined : OFFENCES[refused]),
    limit: async ({ endpoint, address, isPreflight, page }) => {
      if (endpoint === 'events' && !isPreflight) return undefined;
      const refusal = refusalOf(await guard.request(address, () => parts.isForeign(page)));
      if (refusal !== undefined) return refusal;
      // As newcomers of a socket, and for as long.
      const isBlind = !isPreflight && BY_CREDENTIAL.has(endpoint) && parts.isControlStale();
      return isBlind ? { status: 503, reason: 'control_stale' } : undefined;
    },
    onHttpRefused: (code, from) => {
      const offence = OFFENCES[code];
      if (offence !== undefined) guard.failed(from.address, offence, parts.isForeign(from)).catch(parts.onBug);
      logRefused(code, from, { kind: 'http' });
    },
    limitApi: async (authorization) => {
      const key = bearerToken(authorization);
      if (config.rateLimits.api.limit === 0 || !key) return;
      const refusal = refusalOf(await guard.apiRequest(key));
      if (refusal !== undefined) throw refusalProblem(refusal);
    },
    sessions: {
      countNewDialog: async ({ address }, assistantId) =>
        refusalOf(await guard.newDialog(address, assistantId, parts.sessionLimitOf(assistantId))),
      countResume: async ({ address }) => refusalOf(await guard.connect(address)),
    },
    note: (kind, verdict, request) => {
      if (verdict === 'gone') {
        metrics().admission(kind, 'gone', 'gone');
        return;
      }
      if ('screening' in verdict) {
        if (verdict.screening === 'upgrade') return;
        metrics().admission(kind, 'refused', verdict.reason);
        if (verdict.reason !== 'shape' || request === undefined) return;
        threat.note(request.address.key, 'probed_id', parts.isForeign(request));
        log('suspicious_input', {
          address: request.address.text,
          where: 'dialog_id',
          sample: sampleOf(request.dialogId),
        });
        return;
      }
      if (!('verdict' in verdict)) {
        metrics().admission(kind, 'refused', verdict.reason);
        return;
      }
      if (verdict.verdict === 'admit') {
        metrics().admission(kind, 'admitted', 'none');
        return;
      }
      metrics().admission(kind, 'closed', verdict.reason);
      metrics().closed(CLOSE_CODES[verdict.code].code);
      if (request !== undefined) logRefused(verdict.code, request, { kind, reason: verdict.reason });
    },
    stop: () => threat.stop(),
  };
};
