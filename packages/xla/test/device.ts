/**
 * Which device the tests of compiled programs run on: XLA's CPU client through jaxlib where that is installed, or, with
 * `TB_XLA_TEST_DEVICE=gpu` (the script `test:gpu`), the GPU through the PJRT C API.
 *
 *     describe.skipIf(!hasTestDevice())('…', () => {
 *       const executor = openTestDevice();
 *       afterAll(() => executor.dispose());
 */
import type { Executor } from '../src/executor.js';
import { createPjrtExecutor } from '../src/pjrt/pjrt-executor.js';
import { createJaxlibExecutor, jaxlibPython } from './jaxlib-executor.js';

const onGpu = process.env.TB_XLA_TEST_DEVICE === 'gpu';

/** On a GPU always true: there a missing device is a failure, no reason to skip. */
export function hasTestDevice(): boolean {
  return onGpu || jaxlibPython() !== undefined;
}

export function openTestDevice(): Executor {
  // Each test file has its own process, and they share the card: none may take the memory ahead.
  return onGpu ? createPjrtExecutor({ preallocate: false }) : createJaxlibExecutor();
}
