import { isId } from '@replyx/protocol';
import { expect, it } from 'vitest';
import { visitorIds } from '../src/public/visitor-ids.js';

const SECRET = Buffer.from(Array.from({ length: 32 }, (_, i) => i)).toString('base64url');

it('are ids of the contract, fixed for ever: a change of one would lose every dialog', () => {
  expect(visitorIds(SECRET, 'acme', 'bot')).toEqual({
    dialogId: 'slqCm7SNis4anUwmZobhWKxOx4U_NiAwC3hZGMKngAM',
    visitorId: 'pG2VLmXSgY0bZJy9-0TEsdKnGBHousUX3r6AIDfjp2E',
  });
});

it('differ from each other, and with every part that they are made of', () => {
  const other = Buffer.alloc(32, 7).toString('base64url');
  const all = [
    visitorIds(SECRET, 'acme', 'bot'),
    visitorIds(other, 'acme', 'bot'),
    visitorIds(SECRET, 'acm', 'ebot'),
    visitorIds(SECRET, 'acmeb', 'ot'),
    visitorIds(SECRET, 'acme', 'bot2'),
  ].flatMap(({ dialogId, visitorId }) => [dialogId, visitorId]);
  expect(new Set(all).size).toBe(all.length);
  expect(all.every(isId)).toBe(true);
});
