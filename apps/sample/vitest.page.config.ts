import { mergeConfig } from 'vitest/config';
import base from '../../vitest.base.js';

/** The page in Chromium: `pnpm test:page`. */
const config = mergeConfig(base, {
  // Each test is shown when it ends: the tests of one file take minutes.
  test: { testTimeout: 180_000, hookTimeout: 180_000, maxWorkers: 1, reporters: ['verbose'] },
});
config.test.include = ['test/page/**/*.page.ts'];

export default config;
