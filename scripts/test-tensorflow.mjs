// The suites of the packages that compute, on the TensorFlow backend. Needs a Python with TensorFlow (`python3`, or the
// one that TB_TENSORFLOW_PYTHON names); without one it says so in a line and passes.
import { spawnSync } from 'node:child_process';
import { linkTensorflow, TensorflowProblem, tensorflowDoctor } from '../packages/runtime/src/tensorflow/index.ts';

const python = process.env.TB_TENSORFLOW_PYTHON ?? 'python3';
const packages = ['runtime', 'nn', 'vae', 'backbone', 'ar-head', 'tokenbridge', 'trainer', 'metrics'];
const parityAlone = ['trainer', 'metrics']; // the rest of them is files, logs and arithmetic on the host

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
const failed = packages.filter((name) => {
  const filter = parityAlone.includes(name) ? ['parity'] : [];
  const { status } = spawnSync('npx', ['vitest', 'run', ...filter], { cwd: `packages/${name}`, env, stdio: 'inherit' });
  return status !== 0;
});
if (failed.length > 0) {
  console.error(`failed on TensorFlow: ${failed.join(', ')}`);
  process.exit(1);
}
