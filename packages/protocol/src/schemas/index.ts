export * from './api-answers.js';
export * from './api-bodies.js';
export * from './claims.js';
export * from './client-frames.js';
export * from './fields.js';
export * from './json-text.js';
export * from './server-frames.js';
