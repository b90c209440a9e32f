import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { bindFailure, claimPort } from '../src/cluster/claim-port.js';

describe('a port that workers are to share', () => {
  it('is free afterwards', async () => {
    const port = await claimPort('127.0.0.1', 0);
    expect(port).toBeGreaterThan(0);
    expect(await claimPort('127.0.0.1', port)).toBe(port);
  });

  it('is refused where somebody else has it', async () => {
    const other = createServer();
    await new Promise<void>((done) => void other.listen(0, '127.0.0.1', done));
    const { port } = other.address() as { port: number };
    try {
      await expect(claimPort('127.0.0.1', port)).rejects.toThrow(
        `cannot listen on 127.0.0.1:${port}: the port is taken`,
      );
    } finally {
      other.close();
    }
  });

  it('is refused at an address of another machine', async () => {
    await expect(claimPort('192.0.2.1', 0)).rejects.toThrow(
      'cannot listen on 192.0.2.1:0: the address is not of this machine',
    );
  });

  it('is told why it is refused, and nothing else', () => {
    expect(bindFailure('0.0.0.0', 80, { code: 'EACCES', message: 'listen EACCES' }).message).toBe(
      'cannot listen on 0.0.0.0:80: the system does not permit it; ports below 1024 are for root, or need CAP_NET_BIND_SERVICE',
    );
    expect(bindFailure('h', 80, { code: 'EMFILE', message: 'listen EMFILE: too many open files' }).message).toBe(
      'cannot listen on h:80: listen EMFILE: too many open files',
    );
  });
});
