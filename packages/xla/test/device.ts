/**
 * Which device the tests of compiled programs run on: XLA's CPU client through jaxlib where that is installed, or, with
 * `TB_XLA_TEST_DEVICE=gpu` (the script `test:gpu`), the GPU through the PJRT C API.
 *
 *     describe.skipIf(!hasTestDevice())('…', () => {
 *       let executor: Executor;
 *       beforeAll(async () => {
 *         executor = await useTestDevice();
 *       });
 *       afterAll(() => executor.dispose());
 */
import { useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { Executor } from '../src/executor.js';
import { createPjrtExecutor } from '../src/pjrt/pjrt-executor.js';
import { registerBackend } from '../src/register.js';
import { createJaxlibExecutor, jaxlibPython } from './jaxlib-executor.js';

const onGpu = process.env.TB_XLA_TEST_DEVICE === 'gpu';

/** On a GPU always true: there a missing device is a failure, no reason to skip. */
export function hasTestDevice(): boolean {
  return onGpu || jaxlibPython() !== undefined;
}

function openTestDevice(): Executor {
  // Each test file has its own process, and they share the card: none may take the memory ahead.
  return onGpu ? createPjrtExecutor({ preallocate: false }) : createJaxlibExecutor();
}

/** Opens the device and makes it the backend in use; disposing it is the caller's. */
export async function useTestDevice(): Promise<Executor> {
  await useBackend('cpu'); // registers the gradients and kernels that every backend shares
  const executor = openTestDevice();
  registerBackend(executor);
  await tf.setBackend('xla');
  return executor;
}
