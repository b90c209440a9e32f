import { EventEmitter } from 'node:events';
import { fakeClock } from '@replyx/testkit';
import { Gauge, Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { type ParentChannel, WorkerLink } from '../src/cluster/worker-link.js';
import type { WorkerMessage } from '../src/cluster/worker-messages.js';

/** As `process` of a child: its `send` stays when the parent is gone, and fails loudly for whoever does not listen to how it went. */
class FakeChannel extends EventEmitter implements ParentChannel {
  connected = true;
  /** The parent is dead, and nobody has noticed yet. */
  isBroken = false;
  readonly sent: WorkerMessage[] = [];

  send(message: WorkerMessage, done?: (error: Error | null) => void): boolean {
    if (this.connected && !this.isBroken) {
      this.sent.push(message);
      return true;
    }
    const error = new Error(this.connected ? 'write EPIPE' : 'channel closed');
    if (done === undefined) this.emit('error', error);
    else done(error);
    return false;
  }

  loseParent(): void {
    this.connected = false;
    this.emit('disconnect');
  }
}

const linked = () => {
  const clock = fakeClock();
  const channel = new FakeChannel();
  const link = new WorkerLink(channel, clock);
  const registry = new Registry();
  new Gauge({ name: 'open', help: 'open', registers: [registry] }).set(3);
  return { clock, channel, link, reporting: link.reportFor({ readiness: () => ['draining'], registry }) };
};

describe('the link of a worker to its parent', () => {
  it('tells what all of them report', async () => {
    const { channel, clock, reporting } = linked();
    const reasons = reporting.readiness();
    expect(channel.sent).toEqual([{ kind: 'ask', number: 1, what: 'readiness' }]);
    channel.emit('message', { kind: 'answer', number: 1, bodies: [['draining'], [], ['worker_silent']] });
    expect(await reasons).toEqual(['draining', 'worker_silent']);
    expect(clock.pending()).toBe(0);
  });

  it('answers for itself after a while where the parent does not', async () => {
    const { clock, reporting } = linked();
    const reasons = reporting.readiness();
    await clock.advanceAsync(2_000);
    expect(await reasons).toEqual(['draining']);
  });

  it('answers for itself at once where the parent is gone', async () => {
    const { channel, clock, link, reporting } = linked();
    channel.loseParent();
    expect(await reporting.readiness()).toEqual(['draining']);
    expect(await reporting.metrics()).toContain('open 3\n');
    link.up();
    channel.emit('message', { kind: 'report', number: 1, what: 'readiness' });
    await clock.advanceAsync(0);
    expect([channel.sent, clock.pending()]).toEqual([[], 0]);
  });

  it('answers for itself at once where the parent goes meanwhile', async () => {
    const { channel, clock, reporting } = linked();
    const reasons = reporting.readiness();
    channel.loseParent();
    expect(await reasons).toEqual(['draining']);
    expect(clock.pending()).toBe(0);
  });

  it('does not fall with a parent whose end is not known yet', async () => {
    const { channel, reporting } = linked();
    channel.isBroken = true;
    const reasons = reporting.readiness();
    channel.loseParent();
    expect(await reasons).toEqual(['draining']);
  });
});
