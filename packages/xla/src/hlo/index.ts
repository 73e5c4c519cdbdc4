export * from './contract.js';
export * from './elementwise.js';
export * from './gather.js';
export * from './literal.js';
export * from './reduce.js';
export * from './shape.js';
