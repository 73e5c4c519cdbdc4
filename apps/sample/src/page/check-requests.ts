// Checks what the page asks for, where it arrives: nothing of a request is used before. Runs in Node and in browsers.
import { type JsonShape, jsonShape } from '@tb/io';
import type { EditRequest, GenerateRequest, ModelInfo, ReconstructRequest, Refusal } from './messages.js';

/** A request that is not answered, with the reason for people and a status of HTTP. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';

  constructor(
    message: string,
    readonly status: 400 | 401 | 403 | 404 | 413 | 415 | 429 | 500 = 400,
  ) {
    super(message);
  }

  /** What the page gets. */
  get refusal(): Refusal {
    return { message: this.message };
  }
}

const { list, oneOf, passing, text } = jsonShape;

const integer = (min: number, max: number) =>
  passing(jsonShape.integer, `an integer from ${min} to ${max}`, (value) => value >= min && value <= max);

const number = (min: number, max: number) =>
  passing(jsonShape.number, `a number from ${min} to ${max}`, (value) => value >= min && value <= max);

/** A list, whose length is checked before its entries are. */
function listOf<T>(items: JsonShape<T>, least: number, most: number): JsonShape<T[]> {
  const what = least === most ? `a list of ${most}` : `a list of ${least} to ${most}`;
  const fits = passing(jsonShape.anyList, what, ({ length }) => length >= least && length <= most);
  return { fault: (value, where) => fits.fault(value, where) ?? list(items).fault(value, where) };
}

/** What is needed to check a request. */
type Known = Pick<ModelInfo, 'classes' | 'grid' | 'limits'>;

const settingsOf = ({ limits }: Known) => ({
  guidance: number(-limits.guidance, limits.guidance),
  guidanceSchedule: oneOf('linear', 'constant'),
  temperature: number(0, limits.temperature),
  steps: integer(1, limits.steps),
  order: oneOf('random', 'raster', 'confidence'),
  seed: integer(0, Number.MAX_SAFE_INTEGER),
  count: integer(1, limits.images),
  previewEvery: integer(0, limits.steps),
});

/** @throws RefusedError */
export function checkGenerate(value: unknown, known: Known): GenerateRequest {
  const { classes, limits } = known;
  const labels = listOf(integer(0, classes.length - 1), 1, Math.min(classes.length, limits.images));
  const shape = jsonShape.object({ ...settingsOf(known), classes: labels });
  const request = checked(value, shape);
  if (new Set(request.classes).size < request.classes.length)
    throw new RefusedError('classes must hold each class once');
  const images = request.classes.length * request.count;
  if (images > limits.images)
    throw new RefusedError(`at most ${limits.images} images can be asked for at once, got ${images}`);
  return picked(request, [...Object.keys(settingsOf(known)), 'classes']);
}

/** @throws RefusedError */
export function checkEdit(value: unknown, known: Known): EditRequest {
  const { classes, grid } = known;
  const positions = grid.height * grid.width;
  const mostText = 4 * Math.ceil((2 * positions * grid.channels) / 3); // base64 of two bytes for each token
  const tokens = passing(text, 'base64 of all tokens', (value) => value.length === mostText && base64.test(value));
  const label = jsonShape.optional(integer(0, classes.length - 1));
  const shape = {
    ...settingsOf(known),
    source: jsonShape.object({ image: jsonShape.optional(idText), tokens: jsonShape.optional(tokens) }),
    mask: listOf(number(0, 1), positions, positions),
    label,
  };
  const request = checked(value, jsonShape.object(shape));
  const { source } = request;
  if ((source.image == null) === (source.tokens == null))
    throw new RefusedError('source must have either image or tokens');
  if (!request.mask.some((strength) => strength > 0)) throw new RefusedError('mask must choose at least one position');
  return {
    ...picked(request, Object.keys(shape)),
    label: request.label ?? null,
    source: source.image == null ? { tokens: source.tokens! } : { image: source.image },
  } as EditRequest;
}

/** @throws RefusedError */
export function checkReconstruct(value: unknown, { limits }: Known): ReconstructRequest {
  const shape = { image: idText, levels: integer(2, limits.levels), range: number(limits.range.min, limits.range.max) };
  return picked(checked(value, jsonShape.object(shape)), Object.keys(shape));
}

/** The ids that uploaded images get. */
const idText = passing(text, 'an id', (value) => /^[0-9a-f]{32}$/.test(value));

const base64 = /^[A-Za-z0-9+/]*={0,2}$/;

function checked<T>(value: unknown, shape: JsonShape<T>): T {
  const fault = shape.fault(value, '');
  if (fault !== undefined) throw new RefusedError(fault);
  return value as T;
}

/** Only the entries with these names: others were not checked. */
function picked<T extends object>(value: T, names: readonly string[]): T {
  return Object.fromEntries(names.map((name) => [name, value[name as keyof T]])) as T;
}
