import type { Revocation } from './control-port.js';
import type { Identity } from './session.js';

/** What a revocation is held against: a token, or a connection with all the tokens that it has used. */
export interface TokenSubject {
  readonly type: 'operator' | 'visitor' | 'site';
  readonly tenant: string;
  /** Absent in a site token, which is nobody's. */
  readonly sub?: string | undefined;
  /** Seconds, as `iat`. */
  readonly issuedAt: number;
  /** `jti`, and `parent` where there is one. */
  readonly tokenIds: readonly string[];
  readonly dialogId?: string | undefined;
  /** Of visitor and site tokens. */
  readonly assistantId?: string | undefined;
  readonly widgetVersion?: number | undefined;
}

/** Somebody for whom a token is to be made. */
export type FutureToken = Omit<TokenSubject, 'issuedAt' | 'type'>;

export const subjectOfIdentity = (identity: Identity): TokenSubject => ({
  type: identity.kind === 'operator' ? 'operator' : 'visitor',
  tenant: identity.tenant,
  sub: identity.member.id,
  issuedAt: identity.issuedAt,
  tokenIds: identity.tokenIds,
  dialogId: identity.dialogId,
  assistantId: identity.assistantId,
  widgetVersion: identity.widgetVersion,
});

type By = Revocation['rule']['by'];

const keyOf = ({ rule }: Revocation): string => {
  switch (rule.by) {
    case 'jti':
      return rule.jti;
    case 'subject':
      return rule.sub;
    case 'assistant':
      return rule.assistantId;
    case 'dialog':
      return rule.dialogId;
  }
};

/**
 * Revocations by what they name, so that a token is judged by a few look-ups however many there are: 50,000 live connections
 * against 100,000 revocations take some tens of milliseconds. Expiry is the caller's: a revocation past it is to be removed.
 */
export class RevocationIndex {
  private readonly rules: Readonly<Record<By, Map<string, readonly Revocation[]>>> = {
    jti: new Map(),
    subject: new Map(),
    assistant: new Map(),
    dialog: new Map(),
  };

  add(revocation: Revocation): void {
    const rules = this.rules[revocation.rule.by];
    const key = keyOf(revocation);
    rules.set(key, [...(rules.get(key) ?? []), revocation]);
  }

  remove(revocation: Revocation): void {
    const rules = this.rules[revocation.rule.by];
    const key = keyOf(revocation);
    const rest = (rules.get(key) ?? []).filter(({ id }) => id !== revocation.id);
    if (rest.length === 0) rules.delete(key);
    else rules.set(key, rest);
  }

  /** The revocation by which a token or a connection falls. `nowMs`: time of the store. */
  match(subject: TokenSubject, nowMs: number): Revocation | undefined {
    return this.find(subject, nowMs, subject.issuedAt, subject.type !== 'operator');
  }

  /** The revocation for which no token may be made, whenever it would be issued. */
  matchFuture(subject: FutureToken, nowMs: number): Revocation | undefined {
    return this.find(subject, nowMs, Number.NEGATIVE_INFINITY, true);
  }

  private find(
    subject: FutureToken,
    nowMs: number,
    issuedAt: number,
    hasWidgetVersion: boolean,
  ): Revocation | undefined {
    const { jti, subject: subjects, assistant, dialog } = this.rules;
    const first = (
      found: readonly Revocation[] | undefined,
      bites: (rule: Revocation['rule']) => boolean,
    ): Revocation | undefined => found?.find((one) => one.expiresMs > nowMs && bites(one.rule));
    const always = () => true;
    for (const tokenId of jti.size === 0 ? [] : subject.tokenIds) {
      const found = first(jti.get(tokenId), always);
      if (found !== undefined) return found;
    }
    const { sub, tenant, assistantId, widgetVersion = 0, dialogId } = subject;
    return (
      (sub === undefined
        ? undefined
        : first(
            subjects.get(sub),
            (rule) =>
              rule.by === 'subject' &&
              (rule.tenant === undefined || rule.tenant === tenant) &&
              issuedAt <= rule.issuedBefore,
          )) ??
      (assistantId === undefined || !hasWidgetVersion
        ? undefined
        : first(assistant.get(assistantId), (rule) => rule.by === 'assistant' && widgetVersion < rule.belowVersion)) ??
      (dialogId === undefined ? undefined : first(dialog.get(dialogId), always))
    );
  }
}
