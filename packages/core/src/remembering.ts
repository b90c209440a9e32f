/**
 * A function of a text that remembers its answers, of at most `most` texts of at most `maxChars`. For what comes again and again and
 * costs more than a look-up; whoever sends ever new texts pays, and is answered, as if nothing were remembered.
 */
export const remembering = <T>(
  answer: (text: string) => T,
  { most, maxChars }: { readonly most: number; readonly maxChars: number },
): ((text: string) => T) => {
  const known = new Map<string, { readonly answer: T }>();
  return (text) => {
    if (text.length > maxChars) return answer(text);
    const found = known.get(text);
    if (found !== undefined) return found.answer;
    const fresh = answer(text);
    if (known.size >= most) known.clear();
    known.set(text, { answer: fresh });
    return fresh;
  };
};
