import { fileURLToPath } from 'node:url';
import { configDefaults, defineConfig } from 'vitest/config';

const conditions = ['@tb/source', 'node', 'import', 'default'];

/** Suites that start several processes of a job take minutes. `pnpm test:processes` runs them, and no others. */
const ofProcesses = ['test/processes.test.ts', 'test/network.test.ts', 'test/launch.test.ts', 'test/failures.test.ts'];
const isOfProcesses = process.env.TB_TEST_PROCESSES === '1';

/** Tests run on the sources of every workspace package: no build is needed first. */
export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: isOfProcesses ? ofProcesses : ['src/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: isOfProcesses ? configDefaults.exclude : [...configDefaults.exclude, ...ofProcesses],
    setupFiles: [fileURLToPath(new URL('./vitest.setup.ts', import.meta.url))],
    passWithNoTests: true,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 2,
  },
});
