import { type Backplane, boundPage, type DialogRecord, encodeFrame, type Hub, historyMessages } from '@replyx/core';
import { BOUNDS, type Sender, type Track } from '@replyx/protocol';
import { API_BODIES, type ApiAnswer, historyQuery } from '@replyx/protocol/schemas';
import { readBody, readQuery } from './body.js';
import { type HttpAnswer, type HttpRoute, json, NO_CONTENT } from './http.js';
import { knownDialogs } from './known-dialog.js';
import { pathId } from './path-id.js';
import { Problem } from './problem.js';
import { publishProblem } from './publish-problem.js';
import { ROUTES } from './route-table.js';

export interface DialogRoutesParts {
  readonly backplane: Backplane;
  readonly hub: Pick<Hub, 'append' | 'feed'>;
  readonly directory: 'strict' | 'open';
  readonly newId: () => string;
  readonly hasInbox: (assistantId: string) => Promise<boolean> | boolean;
}

/** Bytes of frames in one history answer. */
const MAX_PAGE_BYTES = 1_048_576;

const dialogBody = (record: DialogRecord): ApiAnswer<'dialog'> => ({
  tenant: record.tenant,
  assistant_id: record.assistantId ?? null,
  visitor_id: record.visitorId ?? null,
  closed: record.closed,
});

const shown = ({ role, id, name }: { role: Sender['role']; id: string; name?: string | undefined }): Sender => ({
  role,
  id,
  ...(name === undefined ? {} : { name }),
});

/** What a backend does with one dialog. */
export const dialogRoutes = ({ backplane, hub, directory, newId, hasInbox }: DialogRoutesParts): HttpRoute[] => {
  const mustBeKnown = knownDialogs({ backplane, directory });

  const read = async (dialogId: string, track: Track, page: { after?: number; before?: number; limit: number }) =>
    backplane.log.read({ dialogId, track, known: hub.feed(dialogId, track)?.known, ...page });

  const publish: HttpRoute = {
    ...ROUTES.publish,
    handle: async (call) => {
      const dialogId = pathId(call);
      const body = readBody(call.body, API_BODIES.publish);
      const id = body.id ?? newId();
      const result = await hub.append({
        dialogId,
        track: body.track ?? 'main',
        scope: { role: body.sender.role, id: body.sender.id },
        sender: body.sender,
        content: { id, text: body.text, meta: body.meta },
        fence: body.fence,
        // The sender's window is for clients; a backend is limited by its key.
        window: { limit: 0, windowMs: 1 },
        mustExist: directory === 'strict',
      });
      if (result.status !== 'appended' && result.status !== 'duplicate') throw publishProblem(result.status);
      const { epoch, offset, status } = result;
      return json(201, { id, epoch, offset, duplicate: status === 'duplicate' } satisfies ApiAnswer<'published'>);
    },
  };

  const history: HttpRoute = {
    ...ROUTES.history,
    handle: async (call): Promise<HttpAnswer> => {
      const dialogId = pathId(call);
      const { track = 'main', after, before, limit = BOUNDS.historyPageDefault } = readQuery(call.query, historyQuery);
      await mustBeKnown(dialogId);
      const direction = after === undefined ? 'before' : 'after';
      const range = after === undefined ? { before: before ?? Number.MAX_SAFE_INTEGER } : { after };
      const page = boundPage(await read(dialogId, track, { ...range, limit }), direction, MAX_PAGE_BYTES);
      const { epoch, offset, more } = page;
      return {
        status: 200,
        type: 'application/json',
        body: `{"messages":${historyMessages(page)},${JSON.stringify({ epoch, offset, more }).slice(1)}`,
      };
    },
  };

  const event: HttpRoute = {
    ...ROUTES.event,
    handle: async (call) => {
      const dialogId = pathId(call);
      const body = readBody(call.body, API_BODIES.event);
      await mustBeKnown(dialogId);
      const track: Track = body.track ?? 'main';
      const onTrack = track === 'internal' ? { track } : {};
      const frame =
        body.type === 'event'
          ? encodeFrame({ type: body.type, name: body.name, data: body.data })
          : encodeFrame({ type: body.type, sender: shown(body.sender), state: body.state, ...onTrack });
      await backplane.fanout.emit({ dialogId, track }, 'all', frame);
      return json(202, {});
    },
  };

  const presence: HttpRoute = {
    ...ROUTES.presence,
    handle: async (call) => {
      const dialogId = pathId(call);
      await mustBeKnown(dialogId);
      const connections = await backplane.roster.connections(dialogId);
      return json(200, {
        connections: connections.map(({ connectionId, nodeId, member }) => ({
          connection_id: connectionId,
          node_id: nodeId,
          role: member.role,
          id: member.id,
          ...(member.name === undefined ? {} : { name: member.name }),
        })),
        count: connections.length,
      } satisfies ApiAnswer<'presence'>);
    },
  };

  const put: HttpRoute = {
    ...ROUTES.putDialog,
    handle: async (call) => {
      const dialogId = pathId(call);
      const body = readBody(call.body, API_BODIES.dialog);
      const record: DialogRecord = {
        tenant: body.tenant,
        assistantId: body.assistant_id,
        visitorId: body.visitor_id,
        closed: body.closed,
      };
      const isTold = await hasInbox(body.assistant_id);
      if ((await backplane.directory.putDialog(dialogId, record, isTold)) === 'conflict') {
        throw new Problem('conflict', 'The dialog belongs to another tenant.');
      }
      return json(200, dialogBody(record));
    },
  };

  const get: HttpRoute = {
    ...ROUTES.getDialog,
    handle: async (call) => {
      const record = await backplane.directory.dialog(pathId(call));
      if (record === undefined) throw new Problem('not_found');
      return json(200, dialogBody(record));
    },
  };

  const erase: HttpRoute = {
    ...ROUTES.deleteDialog,
    handle: async (call) => {
      const dialogId = pathId(call);
      const assistantId = (await backplane.directory.dialog(dialogId))?.assistantId;
      const inboxOf = assistantId !== undefined && (await hasInbox(assistantId)) ? assistantId : undefined;
      const wasKnown = await backplane.directory.deleteDialog(dialogId, inboxOf);
      // Nodes that are deaf at this moment hear of it here; also where an earlier attempt erased it and could not tell.
      await backplane.control.write({ kind: 'disconnect', target: { dialogId }, code: 'NOT_FOUND', earlierOnly: true });
      if (!wasKnown) throw new Problem('not_found');
      return NO_CONTENT;
    },
  };

  return [publish, history, event, presence, put, get, erase];
};
