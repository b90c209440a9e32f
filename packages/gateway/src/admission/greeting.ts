import type { ClientAddress } from '@replyx/core';
import type { AddressRefusal } from './address-guard.js';

/** Refused by HTTP, as cheaply as can be. */
export type FloodRefusal = AddressRefusal | { readonly status: 503; readonly reason: 'draining' };

/** The first look at a request: where it comes from, and whether that is refused at once. */
export type Greeting =
  | { readonly greeting: 'welcome'; readonly address: ClientAddress }
  | { readonly greeting: 'refuse'; readonly refusal: FloodRefusal };
