/** Runs what is pending outside `jit`. */
import { type ArraySpec, type DeviceBuffer, type Executable, type Executor, tensorType } from './executor.js';
import { isPending, type Node, release } from './graph/node.js';
import { inOrder, type Program, printProgram } from './graph/print.js';
import { placeOn } from './placement.js';

/** Programs kept for reuse outside `jit`; the oldest go first. */
const PROGRAMS_KEPT = 2048;

export type LazyRunner = {
  /** Runs what is pending of `nodes`, on device 0. Values from the host stay there until a device asks for them. */
  compute(nodes: readonly Node[]): void;
  /** A second array with the same contents on the same device. */
  copy(buffer: DeviceBuffer): DeviceBuffer;
};

const runners = new WeakMap<Executor, LazyRunner>();

/** The runner of an executor, with all programs that it has compiled. */
export function lazyRunnerOf(executor: Executor): LazyRunner {
  let runner = runners.get(executor);
  if (!runner) {
    runner = createLazyRunner(executor);
    runners.set(executor, runner);
  }
  return runner;
}

/** Compiles each program once, as long as it is among the last that were compiled. */
function createCompiler(executor: Executor): (program: Program) => Executable {
  const programs = new Map<string, Executable>();
  // Programs outside `jit` are small and many: the search for the fastest kernels would cost more than it saves.
  const flags = executor.platform === 'cuda' ? { xla_gpu_autotune_level: 0 } : undefined;
  return ({ text, inputs, outputs }) => {
    const known = programs.get(text);
    if (known) return known;
    const program = executor.compile(text, { inputs, outputs, flags });
    programs.set(text, program);
    if (programs.size > PROGRAMS_KEPT) {
      const [oldest, stale] = programs.entries().next().value!;
      programs.delete(oldest);
      stale.dispose();
    }
    return program;
  };
}

function createLazyRunner(executor: Executor): LazyRunner {
  const compile = createCompiler(executor);
  const free = (buffer: DeviceBuffer) => executor.free(buffer);

  /** Computes the wanted values, and those that they depend on and that the user holds too. */
  function run(wanted: readonly Node[]): void {
    const ordered = inOrder(wanted, (node) => !isPending(node));
    const outputs = ordered.filter((node) => node.handles > 0 || wanted.includes(node));
    const leaves = new Set<Node>();
    for (const node of ordered) for (const operand of node.operands) if (!isPending(operand)) leaves.add(operand);
    const parameters = [...leaves];
    const program = compile(printProgram(parameters, outputs, { isLeaf: (node) => !isPending(node) }));
    const inputs = parameters.map((node) => placeOn(executor, node, 0));
    const [buffers] = executor.execute(program, [inputs.map(({ buffer }) => buffer)]);
    for (const { buffer, isCopy } of inputs) if (isCopy) free(buffer);
    outputs.forEach((node, index) => {
      node.buffer = buffers[index];
    });
    for (const node of outputs) {
      const { operands } = node;
      node.operands = [];
      for (const operand of operands) release(operand, free);
    }
  }

  return {
    compute(nodes) {
      const wanted = [...new Set(nodes.filter(isPending))];
      if (wanted.length > 0) run(wanted);
    },
    copy(buffer) {
      const { spec, device } = buffer;
      if (device !== 0) return executor.upload(executor.downloadSync(buffer), spec, device); // programs here are for device 0
      return executor.execute(compile(copyProgram(spec)), [[buffer]])[0][0];
    },
  };
}

function copyProgram(spec: ArraySpec): Program {
  const type = tensorType(spec);
  const text = `module @copy {\n func.func public @main(%x: ${type}) -> ${type} {\n  "func.return"(%x) : (${type}) -> ()\n }\n}\n`;
  return { text, inputs: [spec], outputs: [spec] };
}
