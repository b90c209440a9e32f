import type { Clock } from '@replyx/core';
import { Command } from 'ioredis';
import type { Script } from './scripts.js';

export type ScriptArgument = string | number;

type LengthOf = (argument: string) => number;

const unitsOf: LengthOf = (argument) => argument.length;
const bytesOf: LengthOf = (argument) => Buffer.byteLength(argument);

const bulk = (argument: string, lengthOf: LengthOf): string => `$${lengthOf(argument)}\r\n${argument}\r\n`;

/**
 * The call of a script by its digest; the reply is in buffers. It is printed once and has no timer of its own: a call has some
 * thirty arguments, which a plain command goes over four times.
 */
export class ScriptCall extends Command {
  isAnswered = false;
  dueMs = 0;
  /** How many of its arguments are keys. */
  readonly keyCount: number;
  readonly #text: string;

  constructor(script: Script, keys: readonly string[], args: readonly ScriptArgument[]) {
    super('EVALSHA', [], { replyEncoding: null });
    this.keyCount = script.keys === 'any' ? keys.length : script.keys;
    // Most calls are ASCII alone: one question for the whole costs less than one for each argument.
    const text = this.#print(script, keys, args, unitsOf);
    this.#text = Buffer.byteLength(text) === text.length ? text : this.#print(script, keys, args, bytesOf);
  }

  #print(script: Script, keys: readonly string[], args: readonly ScriptArgument[], lengthOf: LengthOf): string {
    const count = keys.length + args.length + 3;
    let text = `*${count}\r\n$7\r\nEVALSHA\r\n$40\r\n${script.sha}\r\n${bulk(String(this.keyCount), lengthOf)}`;
    for (const key of keys) text += bulk(key, lengthOf);
    for (const arg of args) text += bulk(typeof arg === 'string' ? arg : String(arg), lengthOf);
    return text;
  }

  override toWritable(): string {
    return this.#text;
  }

  override setTimeout(): void {
    // `CallDeadlines` keeps it.
  }
}

/** The deadlines of all calls of one connection, which are answered in order: one timer, that of the oldest. */
export class CallDeadlines {
  readonly #clock: Pick<Clock, 'monotonicMs' | 'schedule'>;
  readonly #deadlineMs: number;
  readonly #afterReading: (work: () => void) => void;
  #calls: ScriptCall[] = [];
  #oldest = 0;
  #isScheduled = false;

  /** `afterReading`: runs `work` once what has arrived by now is read. */
  constructor(
    clock: Pick<Clock, 'monotonicMs' | 'schedule'>,
    deadlineMs: number,
    afterReading: (work: () => void) => void = (work) => void setImmediate(work),
  ) {
    this.#clock = clock;
    this.#deadlineMs = deadlineMs;
    this.#afterReading = afterReading;
  }

  add(call: ScriptCall): void {
    call.dueMs = this.#clock.monotonicMs() + this.#deadlineMs;
    this.#calls.push(call);
    if (!this.#isScheduled) this.#schedule(this.#deadlineMs);
  }

  /** The call was answered, or has failed. */
  remove(call: ScriptCall): void {
    call.isAnswered = true;
    while (this.#calls[this.#oldest]?.isAnswered === true) this.#oldest += 1;
    // Not at every one: moving those behind it up is what costs.
    if (this.#oldest < 64 && this.#oldest < this.#calls.length) return;
    this.#calls = this.#calls.slice(this.#oldest);
    this.#oldest = 0;
  }

  #schedule(ms: number): void {
    this.#isScheduled = true;
    this.#clock.schedule(ms, () => {
      // After a pause of the process timers run before sockets are read: the answers may have come long ago.
      const nowMs = this.#clock.monotonicMs();
      this.#afterReading(() => {
        this.#isScheduled = false;
        this.#expire(nowMs);
      });
    });
  }

  #expire(nowMs: number): void {
    const late = this.#calls.filter(({ isAnswered, dueMs }) => !isAnswered && dueMs <= nowMs);
    for (const call of late) call.reject(new Error('Command timed out'));
    const next = this.#calls.find(({ isAnswered, dueMs }) => !isAnswered && dueMs > nowMs);
    if (next !== undefined) this.#schedule(Math.max(0, next.dueMs - this.#clock.monotonicMs()));
  }
}
