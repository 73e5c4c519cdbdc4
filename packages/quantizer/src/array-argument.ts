/**
 * Refuses what is no flat array: a tensor, an ArrayBuffer, nothing at all. Its elements are for the caller to check.
 *
 * @throws TypeError naming the function, its argument and what came instead
 */
export function assertArray(where: string, argument: string, given: unknown): asserts given is ArrayLike<number> {
  if (typeof given === 'object' && given !== null && Number.isInteger((given as { length?: unknown }).length)) return;
  const isTensor = typeof (given as { dataSync?: unknown } | null | undefined)?.dataSync === 'function';
  throw new TypeError(
    `${where}: ${argument} must be a typed array or an array of numbers, got ${kindOf(given)}` +
      `${isTensor ? ": @tb/quantizer/tfjs takes tensors, or pass the tensor's data" : ''}`,
  );
}

/** What a value is, for messages: `null`, `a string`, `an ArrayBuffer`. */
export function kindOf(given: unknown): string {
  if (given === null || given === undefined) return String(given);
  const name = typeof given === 'object' ? (given.constructor?.name ?? 'Object') : typeof given;
  return `${/^[aeiou]/i.test(name) ? 'an' : 'a'} ${name}`;
}
