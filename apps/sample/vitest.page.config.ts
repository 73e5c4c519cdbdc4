import { mergeConfig } from 'vitest/config';
import base from '../../vitest.base.js';

/** The page in Chromium: `pnpm test:page`. */
const config = mergeConfig(base, { test: { testTimeout: 180_000, maxWorkers: 1 } });
config.test.include = ['test/page/**/*.page.ts'];

export default config;
