// The suites of what computes, command lines included, on the TensorFlow backend. Needs a Python with TensorFlow
// (`python3`, or the one that TB_TENSORFLOW_PYTHON names); without one it prints a line and passes.
import { spawnSync } from 'node:child_process';
import {
  linkTensorflow,
  TensorflowProblem,
  tensorflowDoctor,
} from '../packages/runtime/src/backends/tensorflow/index.ts';

const python = process.env.TB_TENSORFLOW_PYTHON ?? 'python3';
const computing = ['runtime', 'nn', 'vae', 'backbone', 'ar-head', 'diffusion-head', 'tokenbridge'];
/** Folders, each with the test files to run there (all if none is named): the rest is files, logs and host arithmetic. */
const suites = [
  ...computing.map((name) => [`packages/${name}`]),
  ['packages/trainer', 'parity'],
  ['packages/metrics', 'parity'],
  ['apps/train', 'cli'],
  ['apps/sample', 'generate'],
];

const found = await tensorflowDoctor({ python });
const absent = found.find(
  (check) => !check.ok && ['no-python', 'no-tensorflow', 'no-compiler'].includes(check.problem.code),
);
if (absent) {
  console.log(`TensorFlow suites skipped: ${absent.problem.message.split('\n')[0]}`);
  process.exit(0);
}
try {
  if (found.some((check) => !check.ok)) await linkTensorflow({ python });
} catch (error) {
  if (!(error instanceof TensorflowProblem)) throw error;
  console.error(error.message);
  process.exit(1);
}
const env = { ...process.env, TB_TEST_BACKENDS: 'tensorflow' };
const failed = suites.filter(([folder, ...files]) => {
  const { status } = spawnSync('npx', ['vitest', 'run', ...files], { cwd: folder, env, stdio: 'inherit' });
  return status !== 0;
});
if (failed.length > 0) {
  console.error(`failed on TensorFlow: ${failed.map(([folder]) => folder).join(', ')}`);
  process.exit(1);
}
