import { describe, expect, it } from 'vitest';
import { SentTexts } from '../src/index.js';

const sent = (...texts: readonly unknown[]): SentTexts => {
  const all = new SentTexts();
  for (const text of texts) all.note(text);
  return all;
};

describe('texts that were sent', () => {
  it.each([
    ['whole', 'my card number is 4111', '{"msg":"my card number is 4111"}'],
    ['cut short', `my card number is 4111 ${'x'.repeat(100)}`, '{"msg":"my card number is 4111 xxx…'],
    ['escaped', 'she said "hello" to me', '{"msg":"she said \\"hello\\" to me"}'],
    ['at the end of a line', 'my card number', 'bug: my card number'],
  ])('are found in a line, %s', (_, text, line) => {
    expect(sent('another long message', text, 'and one more of them').findIn(line)).toBeDefined();
  });

  it('are not found in other lines, nor where they are no more than a word', () => {
    const all = sent('my card number is 4111', 'hello', 7, undefined);
    expect(all.findIn('my card number was 4111 hello')).toBeUndefined();
    expect(sent().findIn('anything at all in here')).toBeUndefined();
  });
});
