import { fakeClock } from '@replyx/testkit';
import { describe, expect, it } from 'vitest';
import { Workers } from '../src/cluster/workers.js';
import { readConfig } from '../src/config/read-config.js';
import { createLogger } from '../src/observability/logger.js';
import { files, PRODUCTION } from './config-fixtures.js';

describe('workers that are stopped before the first is started', () => {
  it('are not started any more, and have ended in order', async () => {
    const read = readConfig({ ...PRODUCTION, HOST: '127.0.0.1', PORT: '0', INTERNAL_PORT: '0' }, files());
    if (!read.ok) throw new Error('the configuration is not valid');
    const logger = createLogger('silent', 'node');
    const workers = new Workers({ count: 2, config: read.config, env: {}, clock: fakeClock(), logger });
    const started = workers.start();
    await Promise.all([expect(started).rejects.toThrow('asked to stop before any worker was started'), workers.stop()]);
    expect(await workers.ended).toBe(true);
  });
});
