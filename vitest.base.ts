import { defineConfig } from 'vitest/config';

/** Tests run on the sources of every workspace package: no build is needed first. */
export default defineConfig({
  resolve: { conditions: ['@tb/source', 'node', 'import', 'default'] },
  ssr: { resolve: { conditions: ['@tb/source', 'node', 'import', 'default'] } },
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    passWithNoTests: true,
    testTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
  },
});
