import { digestOf } from '../journal.js';
import type { PartOptions } from './part.js';
import { askPatiently } from './patient-api.js';
import { sleep, Turns } from './turns.js';

const WHO = 'bot';
const AT_ONCE = 3;
const ABORTED_IN = 8;
/** What may stop an answer; nothing of it is written any more. */
const STOPS: ReadonlySet<string> = new Set(['stale_fence', 'rate_limited']);

/** An assistant that shows its answers while it writes them, each step through any node, each until it is answered. */
export const streamingBot = ({ journal, random, nodes, dialogs }: PartOptions): Turns => {
  let serial = 0;
  /** `undefined`: the answer ends here. */
  const step = async (dialog: string, id: string, body: Record<string, unknown>): Promise<number | undefined> => {
    for (;;) {
      const since = journal.now;
      const answer = await askPatiently({ nodes, random, isRunning: () => turns.running }, (api) =>
        api.post(`/v1/dialogs/${dialog}/stream`, body),
      );
      if (answer === undefined) return undefined;
      if (answer.status === 200) return since;
      const { status, body: problem } = answer;
      const code = String(problem?.code ?? status);
      if (code === 'not_found' && body['action'] === 'start') {
        // A dialog that Redis has forgotten is registered again before long.
        await sleep(200);
        continue;
      }
      if (code === 'not_found') journal.write({ kind: 'gone', dialog, id });
      else journal.write({ kind: 'refused', who: WHO, id, code, temporary: STOPS.has(code) });
      return undefined;
    }
  };

  const turn = async (): Promise<void> => {
    serial += 1;
    const id = `${WHO}-${serial}`;
    const dialog = random.pick(dialogs);
    let since = await step(dialog, id, { action: 'start', id, sender: { role: 'assistant', id: WHO } });
    if (since === undefined) return;
    journal.write({ kind: 'stepped', dialog, id, step: 'start', since });
    const pieces = Array.from(
      { length: 2 + random.below(14) },
      (_, i) => `${id} ünd ${i} ${'y'.repeat(random.below(40))} `,
    );
    for (const [index, text] of pieces.entries()) {
      await sleep(random.below(60));
      since = await step(dialog, id, { action: 'append', stream_id: id, index, text });
      if (since === undefined) return;
      journal.write({ kind: 'stepped', dialog, id, step: 'append', since });
    }
    if (random.below(ABORTED_IN) === 0) {
      await step(dialog, id, { action: 'abort', stream_id: id });
      return;
    }
    const digest = digestOf(pieces.join(''));
    journal.write({ kind: 'sent', who: WHO, dialog, track: 'main', id, digest });
    const answer = await finish(dialog, id);
    if (answer === undefined) return;
    const { offset, epoch, duplicate } = answer;
    journal.write({ kind: 'acked', who: WHO, id, offset, epoch, duplicate });
  };

  const finish = async (dialog: string, id: string) => {
    const answer = await askPatiently({ nodes, random, isRunning: () => turns.running }, (api) =>
      api.post(`/v1/dialogs/${dialog}/stream`, { action: 'finish', stream_id: id }),
    );
    if (answer === undefined) return undefined;
    if (answer.status === 200) return answer.body as { offset: number; epoch: string; duplicate: boolean };
    const code = String(answer.body?.code ?? answer.status);
    if (code === 'not_found') journal.write({ kind: 'gone', dialog, id });
    else journal.write({ kind: 'refused', who: WHO, id, code, temporary: STOPS.has(code) });
    return undefined;
  };

  const turns = new Turns({ random, width: AT_ONCE, pauseMs: [20, 400], turn });
  return turns;
};
