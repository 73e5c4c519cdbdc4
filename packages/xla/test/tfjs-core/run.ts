/**
 * TensorFlow.js's own published specs against this backend:
 *
 *     pnpm --filter @tb/xla test:tfjs-core [text that the specs' names contain]
 *
 * On the GPU when a PJRT plugin is found, else on the CPU through jaxlib. Prints counts, and the failures by suite.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createPjrtExecutor, type Executor, xlaInfo } from '../../src/index.js';
import { createJaxlibExecutor } from '../jaxlib-executor.js';
import { knownReason } from './known-differences.js';

type SpecResult = { fullName: string; status: string; failedExpectations: { message: string }[] };

const here = fileURLToPath(new URL('.', import.meta.url));
const bundle = process.env.TB_TFJS_SPECS ?? join(here, '../../node_modules/.cache/tfjs-core-specs.cjs');

/** One CommonJS file of all specs. Without `ignoreAnnotations`, `sideEffects` would drop every one of them. */
async function buildSpecs(): Promise<void> {
  const { build } = await import('esbuild');
  await build({
    stdin: {
      contents: "import './setup.ts'; import '@tensorflow/tfjs-core/dist/tests';",
      resolveDir: here,
      loader: 'ts',
    },
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    mainFields: ['module', 'main'],
    conditions: ['@tb/source'],
    external: ['jasmine-core', 'koffi', '@tensorflow/tfjs', '@tensorflow/tfjs-backend-*'],
    ignoreAnnotations: true,
    logLevel: 'error',
  });
}

// A machine without the repository's dependencies brings the file along.
if (!process.env.TB_TFJS_SPECS) await buildSpecs();

const executor: Executor = xlaInfo().usable ? createPjrtExecutor() : createJaxlibExecutor();
Object.assign(globalThis, { tfjsCoreRun: { executor, include: process.argv[2] ?? '' } });

const require = createRequire(import.meta.url);
const jasmineCore = require('jasmine-core');
const environment = jasmineCore.boot(jasmineCore).getEnv(); // makes describe, it and expect global
const results: SpecResult[] = [];
environment.addReporter({ specDone: (result: SpecResult) => results.push(result) });
environment.configure({ random: false });
const started = performance.now();
require(bundle);
await environment.execute();

const count = (status: string) => results.filter((result) => result.status === status).length;
const byReason = new Map<string, number>();
let failed = 0;
for (const { fullName, failedExpectations } of results.filter(({ status }) => status === 'failed')) {
  const message = failedExpectations[0]?.message.split('\n')[0] ?? '';
  const reason = knownReason(fullName, message);
  if (reason) byReason.set(reason, (byReason.get(reason) ?? 0) + 1);
  else {
    failed += 1;
    console.log(`FAILED ${fullName}\n    ${message.slice(0, 300)}`);
  }
}
const seconds = ((performance.now() - started) / 1000).toFixed(0);
for (const [reason, specs] of byReason) console.log(`${`${specs}`.padStart(5)} left out: ${reason}`);
console.log(
  `${executor.deviceKind}: ${count('passed')} passed, ${failed} failed, ${count('pending')} pending, in ${seconds} s`,
);
executor.dispose();
process.exit(failed > 0 ? 1 : 0);
