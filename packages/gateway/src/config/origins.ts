/**
 * An exact web origin, `scheme://host[:port]`, as a browser sends it; undefined when it is anything else. A default port
 * is dropped and the host lower-cased, as browsers do.
 */
export const parseOrigin = (text: string): string | undefined => {
  if (!/^https?:\/\/[^\s/?#@\\*]+$/i.test(text)) return undefined;
  try {
    const { origin } = new URL(text);
    return origin === 'null' ? undefined : origin;
  } catch {
    return undefined;
  }
};
