/** Status codes of PJRT (those of Abseil and gRPC), by number. */
export const STATUS_CODES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

/** A status code of PJRT, by name. */
export type StatusCode = (typeof STATUS_CODES)[number];

/** An error that the plugin reported: its own message and status code, and the function of the C API that failed. */
export class PjrtError extends Error {
  override readonly name = 'PjrtError';
  readonly code: StatusCode;
  readonly apiFunction: string;

  constructor(apiFunction: string, code: StatusCode, message: string) {
    super(`${apiFunction}: ${code}: ${message}`);
    this.code = code;
    this.apiFunction = apiFunction;
  }
}
