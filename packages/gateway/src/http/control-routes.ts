import { type Backplane, type Ban, type Disconnect, type Revocation, readBanNetwork } from '@replyx/core';
import { DISCONNECT_CODES, disconnectCodeOf } from '@replyx/protocol';
import { API_BODIES, type ApiAnswer, controlQuery } from '@replyx/protocol/schemas';
import { revocationIdOf, ruleOf } from '../control/revocation-rule.js';
import { readBody, readQuery } from './body.js';
import { banBody, pageOf, revocationBody } from './control-answers.js';
import { type HttpRoute, json, NO_CONTENT } from './http.js';
import { pathId } from './path-id.js';
import { Problem } from './problem.js';
import { ROUTES } from './route-table.js';

/** What was asked for by API, for the log: ids and kinds, nothing of a token. */
export type ControlAction =
  | { readonly event: 'revocation_written'; readonly id: string; readonly by: Revocation['rule']['by'] }
  | { readonly event: 'ban_written'; readonly id: string; readonly network: string }
  | { readonly event: 'revocation_lifted' | 'ban_lifted'; readonly id: string }
  | { readonly event: 'disconnect_asked'; readonly by: string; readonly code: string };

export interface ControlRoutesParts {
  readonly control: Backplane['control'];
  readonly tokenMaxLifeMs: number;
  readonly clockToleranceMs: number;
  readonly onAction: (action: ControlAction) => void;
}

type Kept = { revocation: Revocation; ban: Ban };

/** Revocations, bans, disconnects. Lists come from the store, not from what this node knows of it. */
export const controlRoutes = ({
  control,
  tokenMaxLifeMs,
  clockToleranceMs,
  onAction,
}: ControlRoutesParts): HttpRoute[] => {
  const inForce = async <K extends keyof Kept>(kind: K): Promise<Kept[K][]> =>
    (await control.snapshot()).entries.filter((entry): entry is Kept[K] => entry.kind === kind);

  const lift = async (kind: keyof Kept, id: string): Promise<void> => {
    const entry = (await inForce(kind)).find((one) => one.id === id);
    if (entry === undefined) throw new Problem('not_found');
    const { expiresMs } = entry;
    await control.write({ kind: 'lifted', id, of: kind, createdMs: await control.nowMs(), expiresMs });
    onAction({ event: `${kind}_lifted`, id });
  };

  const revoke: HttpRoute = {
    ...ROUTES.revoke,
    handle: async (call) => {
      const body = readBody(call.body, API_BODIES.revocation);
      const nowMs = await control.nowMs();
      const rule = ruleOf(body, Math.floor((nowMs + clockToleranceMs) / 1_000));
      const id = revocationIdOf(rule);
      const lifeMs = Math.max(tokenMaxLifeMs, (body.ttl_seconds ?? 0) * 1_000);
      // A token of a fast clock begins so much later, and is accepted for so much longer than it lives.
      const expiresMs = nowMs + lifeMs + 2 * clockToleranceMs;
      const stored = await control.write<Revocation>({ kind: 'revocation', id, rule, createdMs: nowMs, expiresMs });
      onAction({ event: 'revocation_written', id, by: rule.by });
      return json(201, revocationBody(stored));
    },
  };

  const ban: HttpRoute = {
    ...ROUTES.ban,
    handle: async (call) => {
      const { network: given, ttl_seconds, reason } = readBody(call.body, API_BODIES.ban);
      const read = readBanNetwork(given);
      if (!read.ok) throw new Problem('bad_frame', `The field network ${read.why}.`);
      const { id, network } = read;
      const nowMs = await control.nowMs();
      const stored = await control.write<Ban>({
        kind: 'ban',
        id,
        network,
        ...(reason === undefined ? {} : { reason }),
        source: 'api',
        createdMs: nowMs,
        expiresMs: nowMs + ttl_seconds * 1_000,
      });
      onAction({ event: 'ban_written', id, network });
      return json(201, banBody(stored));
    },
  };

  const disconnect: HttpRoute = {
    ...ROUTES.disconnect,
    handle: async (call) => {
      const body = readBody(call.body, API_BODIES.disconnect);
      const code = disconnectCodeOf(body.code ?? DISCONNECT_CODES[0]) ?? DISCONNECT_CODES[0];
      const target = targetOf(body);
      await control.write({ kind: 'disconnect', target, code });
      onAction({ event: 'disconnect_asked', by: Object.keys(target)[0] ?? '', code });
      return json(202, {} satisfies ApiAnswer<'accepted'>);
    },
  };

  return [
    revoke,
    {
      ...ROUTES.listRevocations,
      handle: async (call) => {
        const query = readQuery(call.query, controlQuery);
        const { entries, next } = pageOf(await inForce('revocation'), query);
        return json(200, { revocations: entries.map(revocationBody), next } satisfies ApiAnswer<'revocations'>);
      },
    },
    {
      ...ROUTES.liftRevocation,
      handle: async (call) => {
        await lift('revocation', pathId(call));
        return NO_CONTENT;
      },
    },
    ban,
    {
      ...ROUTES.listBans,
      handle: async (call) => {
        const query = readQuery(call.query, controlQuery);
        const { entries, next } = pageOf(await inForce('ban'), query);
        return json(200, { bans: entries.map(banBody), next } satisfies ApiAnswer<'bans'>);
      },
    },
    {
      ...ROUTES.liftBan,
      handle: async (call) => {
        await lift('ban', pathId(call));
        return NO_CONTENT;
      },
    },
    disconnect,
  ];
};

const targetOf = (body: import('zod').output<typeof API_BODIES.disconnect>): Disconnect['target'] => {
  if ('dialog_id' in body) return { dialogId: body.dialog_id };
  if ('connection_id' in body) return { connectionId: body.connection_id };
  if ('node_id' in body) return { nodeId: body.node_id };
  return { sub: body.sub, ...(body.tenant === undefined ? {} : { tenant: body.tenant }) };
};
