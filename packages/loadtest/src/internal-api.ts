import { CommandFailure } from './command.js';

/** A node's internal listener, as far as a load needs it. The key is sent and never shown. */
export interface InternalApi {
  call(method: 'PUT' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<number>;
}

const DEADLINE_MS = 10_000;

/** Calls go to the addresses in turn. A call that gets no answer rejects with `CommandFailure`. */
export const internalApi = (urls: readonly string[], key: string): InternalApi => {
  let turn = 0;
  return {
    call: async (method, path, body) => {
      const base = urls[turn % urls.length] ?? '';
      turn += 1;
      try {
        const answer = await fetch(`${base}${path}`, {
          method,
          redirect: 'manual',
          signal: AbortSignal.timeout(DEADLINE_MS),
          headers: {
            authorization: `Bearer ${key}`,
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        });
        await answer.arrayBuffer();
        return answer.status;
      } catch (error) {
        const code = ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code;
        throw new CommandFailure(`${base} can't be reached (${code ?? (error as Error).name})`);
      }
    },
  };
};

/** Runs `work` over the numbers below `count`, at most `width` at once; the first failure is the outcome. */
export const inParallel = async (count: number, width: number, work: (n: number) => Promise<void>): Promise<void> => {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const n = next;
      next += 1;
      await work(n);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, worker));
};
