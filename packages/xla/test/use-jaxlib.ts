/**
 * Lets a command use XLA's CPU client through jaxlib where it would use GPUs: a module for node's `--import`, after tsx.
 * `TB_TEST_DEVICES` is the number of devices; default 1.
 */
import { isMainThread } from 'node:worker_threads';

if (isMainThread) {
  const { provideExecutor } = await import('../src/register.js');
  const { createJaxlibExecutor } = await import('./jaxlib-executor.js');
  process.env.XLA_FLAGS ??= '--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true';
  const devices = Number(process.env.TB_TEST_DEVICES ?? 1);
  provideExecutor((processes) => {
    const executor = createJaxlibExecutor({ devices, processes: processes as typeof executor.processes });
    process.on('exit', () => executor.dispose());
    return executor;
  });
}
