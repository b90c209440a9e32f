import { describe, expect, it } from 'vitest';
import { createClientAddresses } from '../src/admission/client-addresses.js';

const v4 = (text: string): Uint8Array => Uint8Array.from(text.split('.').map(Number));
const mapped = (text: string): Uint8Array => Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...v4(text)]);
const NONE: Uint8Array = new Uint8Array();

const asking = (trustedProxies: string[], proxyProtocol = false) => {
  const addressOf = createClientAddresses({ trustedProxies, proxyProtocol });
  let asked = 0;
  return {
    of: (peer: Uint8Array, forwardedFor?: string, proxied = NONE, realIp?: string) =>
      addressOf({
        peer,
        proxied: () => proxied,
        forwarded: () => {
          asked += 1;
          return { forwardedFor, realIp };
        },
      }).text,
    asked: () => asked,
  };
};

describe('the client address of a request', () => {
  it('ignores every header of a peer that is not trusted, and does not even read them', () => {
    const { of, asked } = asking(['10.0.0.0/8']);
    for (let i = 0; i < 1_000; i += 1) expect(of(v4('203.0.113.9'), `1.1.${i % 256}.${i >> 8}`)).toBe('203.0.113.9');
    expect(asked()).toBe(0);
  });

  it('gives two visitors behind one proxy two addresses, whatever they put on the left', () => {
    const { of } = asking(['10.0.0.0/8']);
    expect(of(v4('10.0.0.1'), '8.8.8.8, 203.0.113.9')).toBe('203.0.113.9');
    expect(of(v4('10.0.0.1'), '8.8.8.8, 203.0.113.10')).toBe('203.0.113.10');
    expect(of(mapped('10.0.0.1'), '9.9.9.9, 203.0.113.9')).toBe('203.0.113.9');
    expect(of(v4('10.0.0.1'))).toBe('10.0.0.1');
  });

  it('believes the PROXY protocol only where it is configured and only of a trusted peer', () => {
    const on = asking(['10.0.0.0/8'], true);
    expect(on.of(v4('10.0.0.1'), undefined, v4('203.0.113.9'))).toBe('203.0.113.9');
    expect(on.of(v4('10.0.0.1'), '1.1.1.1', v4('203.0.113.9'))).toBe('203.0.113.9');
    expect(on.of(v4('10.0.0.1'), '198.51.100.7', v4('10.0.0.2'))).toBe('198.51.100.7');
    expect(on.of(v4('192.0.2.1'), undefined, v4('203.0.113.9'))).toBe('192.0.2.1');
    const off = asking(['10.0.0.0/8']);
    expect(off.of(v4('10.0.0.1'), undefined, v4('203.0.113.9'))).toBe('10.0.0.1');
  });

  it('stays right when more peers pass than it keeps ready', () => {
    const { of } = asking(['10.0.0.0/8']);
    for (let i = 0; i < 20_000; i += 1) {
      const peer = v4(`203.${i % 200}.${(i >> 3) % 256}.7`);
      expect(of(peer)).toBe(Array.from(peer).join('.'));
    }
    expect(of(v4('10.0.0.1'), '203.0.113.9')).toBe('203.0.113.9');
  });
});
