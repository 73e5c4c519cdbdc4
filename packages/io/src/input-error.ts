/**
 * A mistake in what a person named or asked for: a file, a folder, a setting. It is not a bug of the program.
 *
 * The message reads `<where>: <what>`, so that a developer sees which function refused. Command lines print `what` alone.
 */
export class InputError extends Error {
  override readonly name = 'InputError';

  /**
   * @param where - the function that refused
   * @param what - a sentence without a full stop: what is wrong, and what to do about it
   */
  constructor(
    readonly where: string,
    readonly what: string,
    options?: ErrorOptions,
  ) {
    super(`${where}: ${what}`, options);
  }
}

/**
 * Why something failed, for the middle of another sentence: the error's message, without the function of an `InputError`.
 *
 * Errors of packages that do not import this one count too, if they have `where` and `what`.
 */
export function reasonOf(error: unknown): string {
  const { where, what, message } = error as Partial<InputError>;
  if (typeof where === 'string' && typeof what === 'string') return what;
  return message ?? String(error);
}
