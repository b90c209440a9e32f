/** Time and scheduling, passed in so that every decision can be tested exactly. */
export interface Clock {
  /** Wall-clock milliseconds; for what is shown or signed, never for durations. */
  nowMs(): number;
  /** Milliseconds that only grow; for durations and deadlines. */
  monotonicMs(): number;
  /** Runs `task` once after `delayMs`; the returned function cancels it and may be called more than once. */
  schedule(delayMs: number, task: () => void): () => void;
}

export interface Random {
  /** Unpredictable bytes. */
  bytes(length: number): Uint8Array;
  /** Uniform in [0, 1). For jitter only. */
  float(): number;
}
