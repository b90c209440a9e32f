import type { TokenSubject } from '@replyx/core';
import type { Claims } from '@replyx/protocol';

/** What a verified token is held against revocations as. `dialogId`: where an operator uses it; a visitor's token names its own. */
export const subjectOfClaims = (claims: Claims, dialogId?: string): TokenSubject => {
  const { type, tenant, iat: issuedAt, jti } = claims;
  switch (claims.type) {
    case 'operator':
      return { type, tenant, sub: claims.sub, issuedAt, tokenIds: [jti], dialogId };
    case 'visitor':
      return {
        type,
        tenant,
        sub: claims.sub,
        issuedAt,
        tokenIds: claims.parent === undefined ? [jti] : [jti, claims.parent],
        dialogId: claims.dialog_id,
        assistantId: claims.assistant_id,
        widgetVersion: claims.widget_version,
      };
    case 'site':
      return {
        type,
        tenant,
        issuedAt,
        tokenIds: [jti],
        assistantId: claims.assistant_id,
        widgetVersion: claims.widget_version,
      };
  }
};
