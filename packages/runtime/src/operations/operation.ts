/**
 * Operations that a backend may run as a single kernel. Each has a name and a definition in plain TensorFlow.js
 * operations. The definition is what every backend without such a kernel runs, and what tests compare the kernel with.
 */
import * as tf from '@tensorflow/tfjs-core';

/** The tensors of an operation, by name. */
export type OperationInputs = Record<string, tf.Tensor>;

/** An operation: a function of tensors by name and of plain attributes. */
export type Operation<Inputs extends OperationInputs, Attributes extends object, Result> = {
  (inputs: Inputs, attributes: Attributes): Result;
  readonly operationName: string;
  /** The definition, which never uses a kernel. */
  readonly plain: (inputs: Inputs, attributes: Attributes) => Result;
};

/** Returns why a backend's kernel must not run for these inputs, or undefined if it can. */
export type Declines = (inputs: OperationInputs, attributes: object) => string | undefined;

const defined = new Set<string>();
const conditions = new Map<string, Declines>(); // by backend and operation
const choices = new Map<string, string>();

/**
 * Defines an operation that a backend may run as a single kernel.
 *
 * A call runs the kernel that the backend has registered with TensorFlow.js under `name`, and otherwise the definition: where
 * there is no such kernel, where gradients are recorded (kernels have none), where the kernel declines the inputs
 * (`setKernelCondition`), and where `TB_PLAIN` names the operation (names separated by commas, or `all`).
 *
 * @param plain - the operation in plain TensorFlow.js operations
 * @throws Error if an operation of that name exists
 */
export function defineOperation<
  Inputs extends OperationInputs,
  Attributes extends object,
  Result extends tf.Tensor | tf.Tensor[],
>(name: string, plain: (inputs: Inputs, attributes: Attributes) => Result): Operation<Inputs, Attributes, Result> {
  if (defined.has(name)) throw new Error(`defineOperation: ${name} is defined already`);
  defined.add(name);
  const call = (inputs: Inputs, attributes: Attributes): Result => {
    const reason = whyPlain(name, inputs, attributes);
    choices.set(name, reason ?? 'kernel');
    if (reason !== undefined) return tf.tidy(() => plain(inputs, attributes));
    return tf.engine().runKernel(name, inputs, attributes as unknown as tf.NamedAttrMap) as Result;
  };
  return Object.assign(call, { operationName: name, plain });
}

/** The names of all operations defined so far. */
export function definedOperations(): string[] {
  return [...defined];
}

/** How the latest call of each operation ran: `kernel`, or why it ran as plain operations. */
export function operationChoices(): Record<string, string> {
  return Object.fromEntries(choices);
}

/** Sets when the kernel of a backend declines an operation. Without a condition the kernel takes everything. */
export function setKernelCondition(backendName: string, operationName: string, declines: Declines): void {
  conditions.set(`${backendName} ${operationName}`, declines);
}

function whyPlain(name: string, inputs: OperationInputs, attributes: object): string | undefined {
  const engine = tf.engine();
  const { backendName } = engine;
  if (engine.state.gradientDepth > 0) return 'gradients are recorded';
  if (!tf.getKernel(name, backendName)) return `the backend ${backendName} has no kernel for it`;
  if (isSwitchedOff(name)) return 'TB_PLAIN switches the kernel off';
  return conditions.get(`${backendName} ${name}`)?.(inputs, attributes);
}

function isSwitchedOff(name: string): boolean {
  const names = globalThis.process?.env?.TB_PLAIN;
  return names !== undefined && names !== '' && (names === 'all' || names.split(',').includes(name));
}
