import type { AssistantRecord, JoinPlaces, LeaseScope, MessageWindow } from '@replyx/core';
import { leaseKeyOfUser } from '@replyx/core';
import type { GatewayConfig } from '../config/gateway-config.js';

/** The limits of a node with one assistant's own in place of those that its record overrides. */
export interface AssistantLimits {
  readonly messages: MessageWindow;
  /** New dialogs of the assistant; 0 is off. */
  readonly sessions: number;
  readonly perDialog: number;
  readonly perUser: number;
  readonly perAssistant: number;
}

export const limitsFor = (
  config: Pick<GatewayConfig, 'rateLimits' | 'connections'>,
  overrides: AssistantRecord['limits'] = {},
): AssistantLimits => {
  const { messages, assistantSessions, dryRun } = config.rateLimits;
  const { perDialog, perUser, perAssistant } = config.connections;
  const windowSeconds = overrides['messages_window_seconds'];
  return {
    messages: {
      limit: overrides['messages'] ?? messages.limit,
      windowMs: windowSeconds === undefined ? messages.windowMs : windowSeconds * 1000,
      isDryRun: dryRun,
    },
    sessions: overrides['sessions'] ?? assistantSessions.limit,
    perDialog: overrides['connections_per_dialog'] ?? perDialog,
    perUser: overrides['connections_per_user'] ?? perUser,
    perAssistant: overrides['connections'] ?? perAssistant,
  };
};

export interface Holder {
  readonly tenant: string;
  readonly role: string;
  readonly subject: string;
  readonly addressKey: string;
  readonly assistantId: string | undefined;
}

/** No limit that anybody reaches: the place is taken all the same, so that the threat score knows who is behind an address. */
const UNREACHED = 1_000_000_000;

/** What a connection takes a place in. */
export const placesOf = (
  { tenant, role, subject, addressKey, assistantId }: Holder,
  { perDialog, perUser, perAssistant }: AssistantLimits,
  { connections, bans }: Pick<GatewayConfig, 'connections' | 'bans'>,
): JoinPlaces => {
  const perAddress = connections.perAddress === 0 && bans.score > 0 ? UNREACHED : connections.perAddress;
  const user: LeaseScope = { kind: 'user', key: leaseKeyOfUser(tenant, role, subject), limit: perUser };
  const address: LeaseScope = { kind: 'address', key: addressKey, limit: perAddress };
  const cluster: LeaseScope = { kind: 'cluster', key: '', limit: connections.perCluster };
  const scopes: LeaseScope[] =
    assistantId === undefined
      ? [user, address, cluster]
      : [user, address, cluster, { kind: 'assistant', key: assistantId, limit: perAssistant }];
  return { dialogLimit: perDialog, scopes, atLimit: connections.atLimit };
};
