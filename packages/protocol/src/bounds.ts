/** Every bound that the contract fixes. A bound that operators may change is configuration, not here. */
export const BOUNDS = {
  /** Bytes of one client frame; a longer one closes the socket with 1009 where it can still be answered. */
  frameBytes: 65_536,
  /** Nesting of a client frame: the frame itself is depth 1, `meta` may go `metaDepth` below it. */
  frameDepth: 10,
  /** UTF-16 units of a message's text. */
  textUnits: 10_000,
  /** Answers that may be in the writing in one dialog at once. */
  openStreams: 4,
  /** An answer that is not written on for longer is over. */
  streamIdleMs: 60_000,
  /** Bytes of `meta` as compact JSON in UTF-8. */
  metaBytes: 4_096,
  metaDepth: 8,
  /** Bytes of an `event`'s `data` as compact JSON in UTF-8. */
  eventBytes: 16_384,
  eventNameChars: 128,
  idChars: 128,
  frameIdChars: 64,
  nameChars: 128,
  reasonChars: 256,
  /** Entries of one history page. */
  historyPage: 100,
  historyPageDefault: 50,
  /** Users listed in a presence snapshot; the count says how many there are. */
  presenceUsers: 100,
  /** Characters of a token; longer ones are refused unread. */
  tokenChars: 8_192,
  allowedDomains: 100,
  assistantsInToken: 1_000,
  /** Entries of one page of revocations or bans. */
  controlPage: 1_000,
  controlPageDefault: 100,
  /** Dead letters of one page. */
  deadLetterPage: 100,
  deadLetterPageDefault: 50,
  webhookUrlChars: 2_048,
  webhookSecretChars: 256,
  /** As few characters of a webhook's secret are guessed. */
  webhookSecretMinChars: 32,
  apiBodyBytes: 262_144,
  /** Bytes of the body of a session exchange, and of a message sent without a socket. */
  sessionBodyBytes: 16_384,
  messageBodyBytes: 131_072,
  /** Life of a lock unless it is renewed. */
  lockTtlMinMs: 10,
  lockTtlMaxMs: 3_600_000,
  lockWaitMs: 30_000,
} as const;
