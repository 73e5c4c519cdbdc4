import { kindOf, shown } from './array-argument.js';
import type { CodebookOptions, Spacing, Tails } from './codebook.js';

/** See `createQuantizer` for the meaning and default of each. */
export type QuantizerOptions = {
  levels?: number;
  min?: number | ArrayLike<number>;
  max?: number | ArrayLike<number>;
  range?: number;
  spacing?: Spacing;
  tails?: Tails;
};

/** All options, checked; `min` and `max` hold one value for all channels, or one each. */
export type ResolvedOptions = CodebookOptions & { min: Float64Array; max: Float64Array };

/** A quantizer as plain JSON data. */
export type QuantizerJSON = {
  format: 'tokenbridge-quantizer';
  version: 1;
  levels: number;
  min: number | number[];
  max: number | number[];
  range: number;
  spacing: Spacing;
  tails: Tails;
};

const OPTION_NAMES = ['levels', 'min', 'max', 'range', 'spacing', 'tails'] as const;
const spacings: readonly Spacing[] = ['gaussian', 'linear'];
const allTails: readonly Tails[] = ['clamped', 'unbounded'];

/** Fills in the defaults (the released model's, with B = 64) and rejects what does not describe a quantizer. */
export function resolveOptions(options: QuantizerOptions): ResolvedOptions {
  if (typeof options !== 'object' || options === null)
    throw new TypeError(`createQuantizer: options must be an object, such as { levels: 64 }, got ${kindOf(options)}`);
  for (const name of Object.keys(options)) {
    if (!(OPTION_NAMES as readonly string[]).includes(name))
      throw new TypeError(`createQuantizer: option must be one of ${OPTION_NAMES.join(', ')}, got ${shown(name)}`);
  }
  const { levels = 64, min = -5, max = 5, range = 3, spacing = 'gaussian', tails = 'clamped' } = options;
  if (!Number.isInteger(levels) || levels < 2 || levels > 65536)
    throw new RangeError(`createQuantizer: levels must be an integer from 2 to 65536, got ${shown(levels)}`);
  if (!(typeof range === 'number' && range > 0 && range <= 30))
    throw new RangeError(`createQuantizer: range must lie in (0, 30], got ${shown(range)}`);
  if (!spacings.includes(spacing))
    throw new TypeError(`createQuantizer: spacing must be one of ${spacings.join(', ')}, got ${shown(spacing)}`);
  if (!allTails.includes(tails))
    throw new TypeError(`createQuantizer: tails must be one of ${allTails.join(', ')}, got ${shown(tails)}`);
  return { levels, range, spacing, tails, ...resolveIntervals(min, max) };
}

/** Makes one interval per channel, or a single one if all channels agree, so that they share the fast path. */
function resolveIntervals(min: number | ArrayLike<number>, max: number | ArrayLike<number>) {
  for (const end of [min, max]) {
    if (typeof end === 'number' || (typeof end === 'object' && end !== null)) continue;
    throw new TypeError(`createQuantizer: min and max must be a number, or one per channel, got ${kindOf(end)}`);
  }
  const lengths = [...new Set([min, max].filter((end) => typeof end !== 'number').map((end) => end.length))];
  if (lengths.length > 1 || lengths[0] === 0)
    throw new RangeError(
      `createQuantizer: min and max must have one value per channel, got ${lengths.join(' and ')} values`,
    );
  const channels = lengths[0] ?? 1;
  const spread = (end: number | ArrayLike<number>) =>
    typeof end === 'number' ? new Float64Array(channels).fill(end) : Float64Array.from(end);
  const ends = { min: spread(min), max: spread(max) };
  ends.min.forEach((low, channel) => {
    const [low32, high32] = [Math.fround(low), Math.fround(ends.max[channel])];
    if (!(low32 < high32 && Number.isFinite(Math.fround(high32 - low32))))
      throw new RangeError(
        `createQuantizer: min must be less than max, both finite and distinct in float32, ` +
          `got [${low}, ${ends.max[channel]}] for channel ${channel}`,
      );
  });
  return ends;
}

export function toJSON({ levels, min, max, range, spacing, tails }: ResolvedOptions): QuantizerJSON {
  const plain = (ends: Float64Array) => (ends.length === 1 ? ends[0] : [...ends]);
  return {
    format: 'tokenbridge-quantizer',
    version: 1,
    levels,
    min: plain(min),
    max: plain(max),
    range,
    spacing,
    tails,
  };
}

/** The options in what `toJSON` returned. @throws TypeError naming the field that is missing, unexpected or malformed */
export function optionsFromJSON(json: unknown): QuantizerOptions {
  const wrong = (what: string, got: unknown) => new TypeError(`fromJSON: ${what}, got ${shown(got)}`);
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw wrong('json must be an object that toJSON made', json);
  const { format, version, ...fields } = json as Record<string, unknown>;
  if (format !== 'tokenbridge-quantizer') throw wrong("format must be 'tokenbridge-quantizer'", format);
  if (version !== 1) throw wrong('version must be 1', version);
  for (const name of OPTION_NAMES) {
    if (!Object.hasOwn(fields, name)) throw wrong(`${name} must be present`, undefined);
    const value = fields[name];
    const isNumber = typeof value === 'number';
    const isEnds = Array.isArray(value) && value.every((end) => typeof end === 'number');
    if (name === 'spacing' || name === 'tails') {
      if (typeof value !== 'string') throw wrong(`${name} must be a string`, value);
    } else if (!isNumber && !((name === 'min' || name === 'max') && isEnds)) {
      throw wrong(`${name} must be a number${name === 'min' || name === 'max' ? ' or numbers' : ''}`, value);
    }
  }
  return fields as QuantizerOptions;
}
