import { TensorflowProblem } from './problem.js';
import { runProgram } from './run-program.js';

export type ProbeResult = { version: string; usesGpu: boolean; log: string };

const script = `
const addon = require(process.argv[1]);
console.log(JSON.stringify({ version: addon.TF_Version, usesGpu: addon.isUsingGpuDevice() }));
`;

/**
 * Loads an addon in a separate process, where neither a crash nor its output can do harm, and returns what TensorFlow
 * found there.
 *
 * @throws TensorflowProblem when it does not load, or when `device` is 'gpu' and TensorFlow runs on the CPU
 */
export async function probeAddon(addon: string, device?: 'cpu' | 'gpu'): Promise<ProbeResult> {
  const env = { ...process.env, TF_CPP_MIN_LOG_LEVEL: '0', ...tensorflowEnvironment(device) };
  const { code, stdout, stderr } = await runProgram(process.execPath, ['-e', script, addon], { env });
  if (code !== 0) {
    const reason = /Error: (.*)/.exec(stderr)?.[1] ?? `it ended with code ${code}`;
    throw new TensorflowProblem('addon-does-not-load', `${addon} does not load: ${reason}`, 'tb-train link-tensorflow');
  }
  const result: ProbeResult = { ...JSON.parse(stdout.trim().split('\n').at(-1)!), log: stderr };
  if (device === 'gpu' && !result.usesGpu) throw gpuNotUsed(reasonInLog(stderr));
  return result;
}

/** Variables that TensorFlow reads when it starts; what the user has set stays. */
export function tensorflowEnvironment(device?: 'cpu' | 'gpu', environment: NodeJS.ProcessEnv = process.env) {
  return {
    TF_FORCE_GPU_ALLOW_GROWTH: environment.TF_FORCE_GPU_ALLOW_GROWTH ?? 'true', // else it takes all memory of the card
    ...(device === 'cpu' && { CUDA_VISIBLE_DEVICES: '-1' }),
  };
}

export function gpuNotUsed(reason?: string): TensorflowProblem {
  return new TensorflowProblem(
    'no-gpu',
    `TensorFlow found no GPU it can use and would run on the CPU${reason ? `: ${reason}` : ''}`,
    'tb-train doctor --device gpu   (reports which of wheel, driver and CUDA libraries is missing)',
  );
}

/** The line of TensorFlow's log that gives the reason why it skips GPUs. */
function reasonInLog(log: string): string | undefined {
  const line = log
    .split('\n')
    .find((each) => /cuInit|Cannot dlopen|cuda_executor|no CUDA-capable|GPU will not be used/i.test(each));
  return line?.replace(/^.*?\] /, '');
}
