export type TokenType = 'operator' | 'site' | 'visitor';

interface CommonClaims {
  readonly iat: number;
  readonly jti: string;
  readonly exp?: number;
  readonly nbf?: number;
  readonly iss?: string;
  readonly aud?: string | readonly string[];
}

export interface OperatorClaims extends CommonClaims {
  readonly type: 'operator';
  readonly sub: string;
  readonly tenant: string;
  readonly role: string;
  readonly exp: number;
  readonly name?: string;
  /** What visitors see as the operator's `sender.id`. */
  readonly public_id?: string;
  /** Where present, the only assistants whose dialogs the operator may open. */
  readonly assistants?: readonly string[];
}

export interface SiteClaims extends CommonClaims {
  readonly type: 'site';
  readonly tenant: string;
  readonly assistant_id: string;
  readonly allowed_domains: readonly string[];
  readonly widget_version: number;
}

export interface VisitorClaims extends CommonClaims {
  readonly type: 'visitor';
  readonly sub: string;
  readonly tenant: string;
  readonly assistant_id: string;
  readonly dialog_id: string;
  readonly kind: 'site' | 'widget';
  readonly exp: number;
  readonly name?: string;
  readonly allowed_domains: readonly string[];
  readonly widget_version: number;
  /** The `jti` of the site token from which it was minted; it falls with it. */
  readonly parent?: string;
}

export type Claims = OperatorClaims | SiteClaims | VisitorClaims;
