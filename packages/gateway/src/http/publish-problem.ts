import type { PublishResult } from '@replyx/core';
import { Problem } from './problem.js';

/** Why nothing was appended, as it is answered. A full inbox is the backend's trouble, and over when that has caught up. */
export const publishProblem = (status: Exclude<PublishResult['status'], 'appended' | 'duplicate'>): Problem =>
  new Problem(status === 'inbox_full' ? 'unavailable' : status);
