/** What this backend does not offer. A spec that fails for want of it is counted apart. */
const notOffered: Record<string, RegExp> = {
  'kernels of strings, ragged and sparse arrays, complex numbers, detection': /the kernel \w+ is missing/,
  'complex numbers and strings on the device': /dtype must be float32, int32 or bool, got (complex64|string)/,
};

/** Specs whose expectation this backend does not share, by reason. */
const otherwise: Record<string, string[]> = {
  'NaN wins in a window, as in CUDA; TensorFlow.js ignores it': [
    'maxPool xla {} [x=[3,3,1] f=[2,2] s=1 ignores NaNs',
    'maxPool3d xla {} x=[1,3,3,3,1] f=[2,2,2] s=1 p=valid, ignores NaNs',
  ],
  'a window of padding alone has no mean and no maximum; TensorFlow.js says 0': [
    'avgPool3d xla {} x=[1,1,1,1,1] f=[2,2,2] s=1 p=2',
    'pool xla {} max x=[2,2,3] f=[1,1] s=2 p=1 fractional outputs default rounding',
    'pool xla {} avg x=[2,2,3] f=[1,1] s=2 p=1 fractional outputs default rounding',
  ],
  'the gradient divides by the elements in the window, as the forward pass does; TensorFlow.js by its size': [
    'avgPool xla {} gradient x=[3,3,1] f=[3,3] s=1 p=explicit',
  ],
  'indices on the device are not read back to be checked': ['gather xla {} throws when index is out of bound'],
  'einsum takes any number of operands': ['einsum xla {} more than two input tensors throws error'],
  'the wording of an error': ['einsum xla {} nonexistent dimension throws error'],
  'the input is larger than the output allows': [
    'conv2dTranspose xla {} input=8x8x8,output=4x4x8,f=8,s=1,inDepth=8,p=same vec4',
  ],
  'the last digit of tan near its pole': ['tan xla {} numbers exceed float32 precision'],
  'the last digit of exp, which GPUs approximate': ['exp xla {} int32'],
};

/** Why a spec may fail, or undefined when it must not. */
export function knownReason(name: string, message: string): string | undefined {
  const isNamed = ([, names]: [string, string[]]) => names.includes(name);
  return (
    Object.entries(otherwise).find(isNamed)?.[0] ??
    Object.entries(notOffered).find(([, pattern]) => pattern.test(message))?.[0]
  );
}
