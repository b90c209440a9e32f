/** What names a held lock anywhere in the cluster: whoever knows it may extend and release it. */
export interface LockRef {
  readonly name: string;
  /** The random value of the attempt that took it. */
  readonly id: string;
}

export interface Lock extends LockRef {
  /**
   * Greater than that of every earlier holder, and of every `nextFence`. Goes with each write: a lock may be lost at any await, and
   * only the place that is written to can refuse the late one.
   */
  readonly fence: number;
  /** Monotonic time of this process until which the lock is surely held, if nobody extends it. */
  readonly validUntilMs: number;
}

const ID_BYTES = 16;
const ID = /^[0-9a-f]{32}$/;

export const newLockId = (bytes: (length: number) => Uint8Array): string =>
  Array.from(bytes(ID_BYTES), (byte) => byte.toString(16).padStart(2, '0')).join('');

export const isLockId = (value: unknown): value is string => typeof value === 'string' && ID.test(value);

/** The lock of a dialog, and the source of its fences. */
export const dialogLockName = (dialogId: string): string => `dialog:${dialogId}`;
