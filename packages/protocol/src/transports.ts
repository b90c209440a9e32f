/** The subprotocol that the gateway selects. */
export const SUBPROTOCOL = 'replyx.v1';
/** A browser's token travels as a second subprotocol with this prefix. */
export const TOKEN_SUBPROTOCOL_PREFIX = 'replyx.token.';

export const WS_ROUTES = {
  operator: '/ws/dialogs/:dialog_id',
  site: '/ws/site/dialogs/:dialog_id',
  widget: '/ws/widget/dialogs/:dialog_id',
} as const;

/** Kinds of visitors; the public routes exist once for each. */
export const VISITOR_KINDS = ['site', 'widget'] as const;
export type VisitorKind = (typeof VISITOR_KINDS)[number];
