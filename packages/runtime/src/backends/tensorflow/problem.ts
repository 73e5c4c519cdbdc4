/** What can stand between an installed TensorFlow and a tensor, in the order in which it is met. */
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

/** A reason why TensorFlow cannot be used, and the command that mends it. */
export class TensorflowProblem extends Error {
  readonly code: ProblemCode;
  readonly remedy: string;

  constructor(code: ProblemCode, what: string, remedy: string) {
    super(`${what}\n  to mend it: ${remedy}`);
    this.name = 'TensorflowProblem';
    this.code = code;
    this.remedy = remedy;
  }
}
