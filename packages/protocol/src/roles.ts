/** Who wrote a publication. Assigned by the server from the credential, never taken from a client. */
export type SenderRole = 'user' | 'assistant' | 'manager' | 'system';

/** `main` is seen by everybody in the dialog, `internal` (notes) by operators only. */
export type Track = 'main' | 'internal';

export const TRACKS: readonly Track[] = ['main', 'internal'];

/** How a connection came in: an operator, a script on a customer's site, or the hosted widget page. */
export type ConnectionKind = 'operator' | 'site' | 'widget';

export interface Sender {
  readonly role: SenderRole;
  readonly id: string;
  readonly name?: string;
}

/** What visitors may see of an operator who has not written in `main`: the role only. */
export interface PublicSender {
  readonly role: SenderRole;
  readonly id?: string;
  readonly name?: string;
}
