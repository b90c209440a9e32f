import { describe, expect, test } from 'vitest';
import { Keys } from '../src/keys.js';
import { slotOfTag } from '../src/slot.js';

/** A deployment's data lies under these names: they do not change. */
describe('keys', () => {
  const keys = new Keys('rx', 128);

  test('of a dialog carry its partition as hash tag', () => {
    const dialog = keys.dialog('dialog-1');
    const sender = { role: 'user', id: 'Zoë:{x}' } as const;
    expect([
      dialog.meta,
      dialog.conns,
      dialog.marks,
      dialog.writers,
      dialog.log('main'),
      dialog.log('internal'),
      dialog.channel('main'),
      dialog.window(sender),
      dialog.idempotency('main', sender, 'a:b'),
      dialog.streams,
      ...dialog.texts,
      dialog.handoffIds(sender),
      keys.held(5, 'node.boot'),
      ...Object.values(keys.inbox(55)).slice(1),
      ...Object.values(keys.control),
      keys.beats,
      keys.infos,
      keys.runs,
      keys.lock('dialog:a').holder,
      keys.lock('dialog:a').fence,
      keys.lock('dialog:a').released('0f'),
    ]).toMatchInlineSnapshot(`
      [
        "rx:{p055}:d:dialog-1:meta",
        "rx:{p055}:d:dialog-1:conns",
        "rx:{p055}:d:dialog-1:marks",
        "rx:{p055}:d:dialog-1:writers",
        "rx:{p055}:d:dialog-1:main:log",
        "rx:{p055}:d:dialog-1:internal:log",
        "rx:{p055}:d:dialog-1:main:ch",
        "rx:{p055}:d:dialog-1:w:user:Wm_Dqzp7eH0",
        "rx:{p055}:d:dialog-1:main:idem:user:Wm_Dqzp7eH0:YTpi",
        "rx:{p055}:d:dialog-1:streams",
        "rx:{p055}:d:dialog-1:streams:1",
        "rx:{p055}:d:dialog-1:streams:2",
        "rx:{p055}:d:dialog-1:streams:3",
        "rx:{p055}:d:dialog-1:streams:4",
        "rx:{p055}:d:dialog-1:handoff:user:Wm_Dqzp7eH0",
        "rx:{p005}:n:node.boot",
        "rx:{p055}:inbox",
        "rx:{p055}:inbox:n",
        "rx:{p055}:inbox:wake",
        "rx:{p055}:inbox:lease",
        "rx:{p055}:inbox:retained",
        "rx:{p055}:inbox:parked",
        "rx:{p055}:inbox:tries",
        "rx:{p055}:inbox:since",
        "rx:{p055}:inbox:dead",
        "rx:{p055}:inbox:letters",
        "rx:{ctl}:epoch",
        "rx:{ctl}:log",
        "rx:{ctl}:revoked",
        "rx:{ctl}:revoked:exp",
        "rx:{ctl}:bans",
        "rx:{ctl}:bans:exp",
        "rx:{ctl}:assistants",
        "rx:{nodes}:beats",
        "rx:{nodes}:infos",
        "rx:{nodes}:runs",
        "rx:{l:ZGlhbG9nOmE}:holder",
        "rx:{l:ZGlhbG9nOmE}:fence",
        "rx:{l:ZGlhbG9nOmE}:gone:0f",
      ]
    `);
    expect(keys.channel('dialog-1', 'main')).toBe(dialog.channel('main'));
  });

  test('of what is limited carry its subject, in the slot that they name', () => {
    const user = keys.scope({ kind: 'user', key: 't:user:Zoë {x}' });
    const address = keys.scope({ kind: 'address', key: '2001:db8::/64' });
    const windows = keys.subject({ kind: 'ip', key: '2001:db8::/64' });
    const guarded = keys.address('2001:db8::/64');
    const assistant = keys.scope({ kind: 'assistant', key: 'bot' });
    const cluster = keys.scope({ kind: 'cluster', key: '' });
    const bySlot: [number, string][] = [
      [windows.slot, windows.window('connects', 'list')],
      [windows.slot, windows.window('http', 'buckets')],
      [guarded.slot, guarded.score],
      [guarded.slot, guarded.bans],
      [guarded.slot, address.users('node.boot')],
      [address.slot, address.counts],
      [address.slot, address.places('node.boot')],
      [user.slot, user.counts],
      [user.slot, user.places('node.boot')],
      [assistant.slot, assistant.counts],
      [assistant.slot, keys.subject({ kind: 'a', key: 'bot' }).window('sessions', 'buckets')],
      [cluster.slot, cluster.counts],
      [keys.nodesSlot, cluster.places('node.boot')],
      [
        keys.subject({ kind: 'k', key: 'digest' }).slot,
        keys.subject({ kind: 'k', key: 'digest' }).window('api', 'list'),
      ],
    ];
    for (const [slot, key] of bySlot) expect(slotOfTag(/\{(.*?)\}/.exec(key)?.[1] ?? '')).toBe(slot);
    expect(guarded.users('node.boot')).toBe(address.users('node.boot'));
    expect(bySlot.map(([, key]) => key)).toMatchInlineSnapshot(`
      [
        "rx:{ip:2001:db8::/64}:w:connects",
        "rx:{ip:2001:db8::/64}:b:http",
        "rx:{ip:2001:db8::/64}:score",
        "rx:{ip:2001:db8::/64}:bans",
        "rx:{ip:2001:db8::/64}:users:node.boot",
        "rx:{ip:2001:db8::/64}:places",
        "rx:{ip:2001:db8::/64}:places:node.boot",
        "rx:{u:dDp1c2VyOlpvw6sge3h9}:places",
        "rx:{u:dDp1c2VyOlpvw6sge3h9}:places:node.boot",
        "rx:{a:bot}:places",
        "rx:{a:bot}:b:sessions",
        "rx:{nodes}:places",
        "rx:{nodes}:places:node.boot",
        "rx:{k:digest}:w:api",
      ]
    `);
  });

  test('spread dialogs over all partitions', () => {
    const counts = new Array<number>(128).fill(0);
    for (let index = 0; index < 12_800; index++) counts[keys.partitionOf(`dialog-${index}`)]!++;
    expect(Math.min(...counts)).toBeGreaterThan(60);
    expect(Math.max(...counts)).toBeLessThan(150);
  });

  test('find a probe channel in any slot', () => {
    const wanted = slotOfTag('some tag');
    const { channel, slot } = keys.probeWhere('node.boot', (candidate) => candidate === wanted);
    expect(slot).toBe(wanted);
    expect(slotOfTag(/\{(.*)\}/.exec(channel)?.[1] ?? '')).toBe(wanted);
  });
});

test.each([
  ['123456789', 0x31c3],
  ['foo', 12_182],
  ['', 0],
])('the slot of %j is as Redis says', (tag, slot) => expect(slotOfTag(tag)).toBe(slot % 16_384));
