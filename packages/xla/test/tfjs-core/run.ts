/**
 * TensorFlow.js's own published specs against this backend:
 *
 *     pnpm --filter @tb/xla test:tfjs-core [--include text] [--jobs 8]
 *
 * `--include` runs the specs whose names contain the text. On the GPU when a PJRT plugin is found, else on the CPU through
 * jaxlib. Each spec is a separate program to compile, so several processes share them. Prints counts, and the failures.
 */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { tfjsGradients } from '../../../runtime/scripts/tfjs-gradients.js';
import { createPjrtExecutor, type Executor, xlaInfo } from '../../src/index.js';
import { createJaxlibExecutor } from '../jaxlib-executor.js';
import { knownReason } from './known-differences.js';

type SpecResult = { fullName: string; status: string; failedExpectations: { message: string }[] };
type Report = { device: string; passed: number; pending: number; failures: string[]; leftOut: Record<string, number> };

const { values } = parseArgs({
  options: {
    include: { type: 'string', default: '' },
    jobs: { type: 'string', default: String(Math.max(1, availableParallelism() - 1)) },
    shard: { type: 'string' }, // of this process among the jobs, for the children
  },
});
const jobs = Number(values.jobs);
if (!Number.isInteger(jobs) || jobs < 1) throw new Error(`--jobs must be a positive integer, got ${values.jobs}`);

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
    external: ['jasmine-core', '@tensorflow/tfjs-backend-*'],
    plugins: [tfjsGradients()],
    define: { 'import.meta.url': 'bundleUrl' }, // CommonJS has no import.meta
    banner: { js: "const bundleUrl = require('node:url').pathToFileURL(__filename).href;" },
    ignoreAnnotations: true,
    logLevel: 'error',
  });
}

/** Runs one share of the specs in this process. */
async function runShard(shard: number): Promise<Report> {
  // The processes share the card: none may take its memory ahead.
  const executor: Executor = xlaInfo().usable ? createPjrtExecutor({ preallocate: false }) : createJaxlibExecutor();
  Object.assign(globalThis, { tfjsCoreRun: { executor, include: values.include, shard, shards: jobs } });
  const require = createRequire(import.meta.url);
  const jasmineCore = require('jasmine-core');
  const environment = jasmineCore.boot(jasmineCore).getEnv(); // makes describe, it and expect global
  const results: SpecResult[] = [];
  environment.addReporter({ specDone: (result: SpecResult) => results.push(result) });
  environment.configure({ random: false });
  require(bundle);
  await environment.execute();
  const report = reportOf(executor.deviceKind, results);
  executor.dispose();
  return report;
}

function reportOf(device: string, results: readonly SpecResult[]): Report {
  const count = (status: string) => results.filter((result) => result.status === status).length;
  const report: Report = { device, passed: count('passed'), pending: count('pending'), failures: [], leftOut: {} };
  for (const { fullName, failedExpectations } of results.filter(({ status }) => status === 'failed')) {
    const message = failedExpectations[0]?.message.split('\n')[0] ?? '';
    const reason = knownReason(fullName, message);
    if (reason) report.leftOut[reason] = (report.leftOut[reason] ?? 0) + 1;
    else report.failures.push(`FAILED ${fullName}\n    ${message.slice(0, 300)}`);
  }
  return report;
}

/** The report of a child that runs one share. */
function runChild(shard: number): Promise<Report> {
  const options = [`--include=${values.include}`, `--jobs=${jobs}`, `--shard=${shard}`];
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1], ...options], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  return new Promise((resolve, reject) => {
    child.once('message', (report) => resolve(report as Report));
    child.once('exit', (code, signal) => reject(new Error(`share ${shard} of the specs ended with ${signal ?? code}`)));
  });
}

function merge(reports: readonly Report[]): Report {
  const leftOut: Record<string, number> = {};
  for (const report of reports)
    for (const [reason, specs] of Object.entries(report.leftOut)) leftOut[reason] = (leftOut[reason] ?? 0) + specs;
  const sum = (pick: (report: Report) => number) => reports.reduce((total, report) => total + pick(report), 0);
  return {
    device: reports[0].device,
    passed: sum(({ passed }) => passed),
    pending: sum(({ pending }) => pending),
    failures: reports.flatMap(({ failures }) => failures),
    leftOut,
  };
}

if (values.shard !== undefined) {
  process.send!(await runShard(Number(values.shard)), () => process.exit(0));
} else {
  // A machine without the repository's dependencies brings the file along.
  if (!process.env.TB_TFJS_SPECS) await buildSpecs();
  const started = performance.now();
  const shares = Array.from({ length: jobs }, (_, shard) => shard);
  const { device, passed, pending, failures, leftOut } = merge(await Promise.all(shares.map(runChild)));
  for (const failure of failures) console.log(failure);
  for (const [reason, specs] of Object.entries(leftOut)) console.log(`${`${specs}`.padStart(5)} left out: ${reason}`);
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(`${device}: ${passed} passed, ${failures.length} failed, ${pending} pending, in ${seconds} s`);
  process.exit(failures.length > 0 ? 1 : 0);
}
