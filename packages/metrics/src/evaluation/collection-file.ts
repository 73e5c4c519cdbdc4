import {
  assertContentHash,
  FileFormatError,
  type HostTensor,
  InputError,
  jsonShape,
  parseJson,
  printable,
  quoted,
  readSafetensors,
  withContentHash,
  writeSafetensors,
} from '@tb/io';
import type { StatisticsAccumulator } from '../gaussian-statistics.js';
import { type Collection, createCollection } from './collect.js';
import type { FeatureExtractor } from './feature-extractor.js';

/** What must be equal for a saved collection to be continued or used as a reference. */
export type CollectionOrigin = {
  readonly source: string;
  readonly fingerprint: string;
  readonly total: number;
  /** Images whose features are kept. */
  readonly kept: number;
  readonly extractor: string;
  readonly weightsHash: string;
};

const FORMAT = 'tb-metrics-collection-1';

/** Saves a collection, complete or unfinished, as one safetensors file with a checksum, atomically. */
export async function saveCollection(path: string, collection: Collection, origin: CollectionOrigin): Promise<void> {
  const { count, pixelHash } = collection;
  const tensors = tensorsOf(collection);
  const metadata = { format: FORMAT, count: `${count}`, pixelHash, origin: JSON.stringify(origin) };
  await writeSafetensors(path, tensors, { metadata: withContentHash(tensors, metadata) });
}

/** The numbers of a collection as tensors on its own memory, D = dimensions: their names and shapes are those of the file. */
function tensorsOf({ pool, spatial, score, features }: Collection): Record<string, HostTensor> {
  const statistics = (name: string, { dimensions: D, shift, sum, products }: StatisticsAccumulator) => ({
    [`${name}.shift`]: float64(shift, [D]),
    [`${name}.sum`]: float64(sum, [D]),
    [`${name}.products`]: float64(products, [D, D]),
  });
  const data = features as Float32Array<ArrayBuffer>;
  return {
    ...statistics('pool', pool),
    ...(spatial && statistics('spatial', spatial)),
    ...(score && {
      'score.counts': float64(score.counts, [score.counts.length]),
      'score.negative_entropy': float64(score.negativeEntropy, [score.counts.length]),
      'score.marginals': float64(score.marginals, [score.counts.length, score.classes]),
    }),
    features: { dtype: 'F32', shape: [features.length / pool.dimensions, pool.dimensions], data },
  };
}

const float64 = (data: Float64Array, shape: number[]): HostTensor => ({
  dtype: 'F64',
  shape,
  data: data as Float64Array<ArrayBuffer>,
});

const originShape = jsonShape.object({
  source: jsonShape.text,
  fingerprint: jsonShape.text,
  total: jsonShape.count,
  kept: jsonShape.count,
  extractor: jsonShape.text,
  weightsHash: jsonShape.text,
});

/**
 * Loads a collection of the same extractor.
 *
 * @returns the collection and where it came from
 * @throws FileFormatError if the file is damaged, Error if it is another kind of file or another network's
 */
export async function loadCollection(
  path: string,
  extractor: FeatureExtractor,
): Promise<{ collection: Collection; origin: CollectionOrigin }> {
  const content = await readSafetensors(path);
  const { tensors, metadata } = content;
  if (metadata.format !== FORMAT) {
    throw new InputError(
      'loadCollection',
      `${path} must be a statistics file of this package (${FORMAT}), got ${metadata.format === undefined ? 'another safetensors file' : quoted(metadata.format)}`,
    );
  }
  assertContentHash(path, content);
  const origin: CollectionOrigin = parseJson(metadata.origin ?? '', originShape, `${path}: its origin`);
  if (origin.extractor !== extractor.name || origin.weightsHash !== extractor.weightsHash) {
    throw new InputError(
      'loadCollection',
      `${path} was made with ${printable(origin.extractor.slice(0, 80))} (${printable(origin.weightsHash.slice(0, 12))}…), this run uses ` +
        `${extractor.name} (${extractor.weightsHash.slice(0, 12)}…): the numbers cannot be compared. Make the file again.`,
    );
  }
  const collection = createCollection(extractor, origin.total, origin.kept);
  const count = Number(metadata.count);
  if (!Number.isInteger(count) || count < 0 || count > origin.total)
    throw new FileFormatError(
      path,
      undefined,
      `its count must be an integer up to ${origin.total}, got ${quoted(metadata.count ?? '')}`,
    );
  copyTensors(tensors, tensorsOf(collection), path);
  collection.count = count;
  collection.pixelHash = metadata.pixelHash ?? '';
  for (const statistics of [collection.pool, collection.spatial]) if (statistics) statistics.count = count;
  if (collection.score) collection.score.seen = count;
  return { collection, origin };
}

/** Copies tensors into others of the same names and shapes. @throws FileFormatError when they differ in these */
function copyTensors(from: Record<string, HostTensor>, to: Record<string, HostTensor>, path: string): void {
  const describe = (tensor: HostTensor | undefined) => tensor && `${tensor.dtype} [${tensor.shape.join(', ')}]`;
  for (const name of Object.keys({ ...from, ...to })) {
    const [found, expected] = [describe(from[name]), describe(to[name])];
    if (found !== expected)
      throw new FileFormatError(path, undefined, `${name} must be ${expected ?? 'absent'}, got ${found ?? 'none'}`);
    (to[name].data as Float64Array).set(from[name].data as Float64Array);
  }
}
