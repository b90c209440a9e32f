import { MIN_KEY_BYTES } from '../config/keys.js';
import { SETTINGS } from '../config/schema.js';
import type { Check, Trouble } from './check.js';
import type { AuditFacts, KeyFacts, SecretFacts } from './facts.js';

const FRESH = '`replyx gen-config` makes one.';

/** Settings of which a key is as `bad` says, with the number of the key where there are several. */
const keysThat = ({ secrets }: AuditFacts, bad: (key: KeyFacts) => string | undefined): readonly Trouble[] =>
  secrets.flatMap(({ name, keys }) =>
    keys.flatMap((key, index) => {
      const detail = bad(key);
      if (detail === undefined) return [];
      return { subject: name, detail: keys.length > 1 ? `key ${index + 1} ${detail}` : detail };
    }),
  );

const sharedWith = (secret: SecretFacts, earlier: readonly SecretFacts[]): readonly string[] => {
  const own = secret.keys.map(({ same }) => same);
  const inItself = new Set(own).size < own.length ? ['itself'] : [];
  const others = earlier.filter(({ name, keys }) => {
    // A retired key of SECRET_KEY may live on there.
    if (secret.name === 'PUBLIC_ID_SECRET' && name === 'SECRET_KEY') return false;
    return keys.some(({ same }) => own.includes(same));
  });
  return [...inItself, ...others.map(({ name }) => name)];
};

/** Where secrets are and what they are worth. */
export const SECRET_CHECKS: readonly Check[] = [
  {
    id: 'RX101',
    severity: 'high',
    title: 'A secret is absent',
    why: "Production refuses to start without it; elsewhere each start makes another one, and nodes do not take each other's tokens.",
    remedy: `Give it, the same for all nodes. ${FRESH}`,
    find: ({ secrets }) =>
      secrets
        .filter(({ name, source }) => source === 'absent' && SETTINGS[name].requiredInProduction)
        .map(({ name }) => ({ subject: name, detail: 'is not set' })),
  },
  {
    id: 'RX102',
    severity: 'medium',
    title: 'A secret is in the environment',
    why: 'An environment is shown by inspection of the container or process, inherited by children, and written to crash reports.',
    remedy: 'Put it in a file that only the node can read, and name the file in `<NAME>_FILE`.',
    find: ({ secrets, redis }) => {
      const keys = secrets.filter(({ source }) => source === 'environment').map(({ name }) => name as string);
      const urls = redis.filter(({ source, password }) => source === 'environment' && password !== 'none');
      return [...new Set([...keys, ...urls.map(({ setting }) => setting)])].map((name) => ({
        subject: name,
        detail: `is not given by ${name}_FILE`,
      }));
    },
  },
  {
    id: 'RX103',
    severity: 'high',
    title: 'One value serves two purposes',
    why: "Who holds it as the one can use it as the other: a site's secret would make operators.",
    remedy: `Give each purpose a value of its own. ${FRESH}`,
    find: ({ secrets }) =>
      secrets.flatMap((secret, index) => {
        const names = sharedWith(secret, secrets.slice(0, index));
        return names.length === 0 ? [] : { subject: secret.name, detail: `shares a value with ${names.join(', ')}` };
      }),
  },
  {
    id: 'RX104',
    severity: 'high',
    title: 'A secret is short',
    why: `Under ${MIN_KEY_BYTES} bytes, HMAC-SHA256 keys can be searched for offline from one token.`,
    remedy: `Use ${MIN_KEY_BYTES} random bytes or more. ${FRESH}`,
    find: (facts) => keysThat(facts, ({ bytes }) => (bytes < MIN_KEY_BYTES ? `has ${bytes} bytes` : undefined)),
  },
  {
    id: 'RX105',
    severity: 'high',
    title: 'A secret is an example',
    why: 'What stands in documentation is in every word list: anybody can sign tokens with it.',
    remedy: `Use a random value. ${FRESH}`,
    find: (facts) => keysThat(facts, ({ example }) => (example ? 'looks like a placeholder' : undefined)),
  },
  {
    id: 'RX106',
    severity: 'high',
    title: 'A secret does not look random',
    why: 'Words, repetitions and few different characters are guessed offline from one token.',
    remedy: `Use a random value. ${FRESH}`,
    find: (facts) =>
      keysThat(facts, ({ example, guessable }) => (guessable && !example ? 'can be guessed' : undefined)),
  },
];
