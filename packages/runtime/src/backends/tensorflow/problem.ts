/** Why TensorFlow cannot be used, in the order in which it is found. */
export type ProblemCode =
  | 'no-python'
  | 'no-tensorflow'
  | 'tensorflow-too-old'
  | 'no-headers'
  | 'no-compiler'
  | 'no-sources'
  | 'build-failed'
  | 'not-linked'
  | 'link-stale'
  | 'addon-damaged'
  | 'addon-does-not-load'
  | 'no-cuda-build'
  | 'no-driver'
  | 'driver-too-old'
  | 'no-cuda-libraries'
  | 'no-gpu';

/** A reason why TensorFlow cannot be used, and the command that fixes it. */
export class TensorflowProblem extends Error {
  override readonly name = 'TensorflowProblem';

  constructor(
    readonly code: ProblemCode,
    readonly what: string,
    readonly remedy: string,
  ) {
    super(`${what}\n  To fix it: ${remedy}`);
  }
}
