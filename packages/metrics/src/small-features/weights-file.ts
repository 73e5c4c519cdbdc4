import {
  assertContentHash,
  fileSha256,
  type HostTensor,
  InputError,
  jsonShape,
  parseJson,
  readSafetensors,
  withContentHash,
  writeSafetensors,
} from '@tb/io';
import { loadParameters } from '@tb/nn';
import { flattenTree } from '@tb/runtime';
import { type SmallFeatureConfig, type SmallFeatures, smallFeatureShapes } from './network.js';

/** A trained network with what its file states about it. */
export type SmallFeatureFile = {
  readonly params: SmallFeatures;
  readonly config: SmallFeatureConfig;
  /** In the order of the labels. */
  readonly classNames: readonly string[];
  /** SHA-256 of the file. */
  readonly hash: string;
};

const CONFIG_KEY = 'smallFeatures.config';

/**
 * Writes a network as safetensors, float32, atomically; configuration and class names are in the metadata.
 *
 * @throws RangeError if there is not one name per class
 */
export async function saveSmallFeatures(
  path: string,
  { params, config, classNames }: Omit<SmallFeatureFile, 'hash'>,
): Promise<void> {
  if (classNames.length !== config.classes) {
    throw new RangeError(
      `saveSmallFeatures: classNames must be one per class (${config.classes}), got ${classNames.length}`,
    );
  }
  const flat = Object.entries(flattenTree(params));
  const tensors = await Promise.all(
    flat.map(async ([name, tensor]): Promise<[string, HostTensor]> => {
      const data = Float32Array.from(await tensor.data());
      return [name, { dtype: 'F32', shape: [...tensor.shape], data }];
    }),
  );
  const metadata = { [CONFIG_KEY]: JSON.stringify(config), classNames: JSON.stringify(classNames) };
  const all = Object.fromEntries(tensors);
  await writeSafetensors(path, all, { metadata: withContentHash(all, metadata) });
}

const { count, list, object, passing } = jsonShape;
const positive = passing(count, 'a positive integer', (value) => value > 0);

const configShape = object({
  classes: positive,
  imageSize: passing(count, 'an integer of at least 32', (size) => size >= 32),
  widths: passing(list(positive), 'a list of widths', ({ length }) => length > 0),
});

/**
 * Loads a feature network.
 *
 * @throws Error if the file is another kind of weights, or lists every weight that does not fit; FileFormatError if it
 *   is damaged
 */
export async function loadSmallFeatures(path: string): Promise<SmallFeatureFile> {
  const content = await readSafetensors(path);
  const { tensors, metadata } = content;
  if (metadata[CONFIG_KEY] === undefined) {
    throw new InputError('loadSmallFeatures', `${path} must hold a feature network, as tb-train features writes it`);
  }
  assertContentHash(path, content, true);
  const config: SmallFeatureConfig = parseJson(
    metadata[CONFIG_KEY],
    configShape,
    `${path}: its metadata ${CONFIG_KEY}`,
  );
  const names = `${config.classes} names, one per class`;
  const namesShape = passing(list(jsonShape.text), names, ({ length }) => length === config.classes);
  const classNames = parseJson(metadata.classNames ?? '', namesShape, `${path}: its metadata classNames`);
  const hash = await fileSha256(path);
  return { params: loadParameters<SmallFeatures>(smallFeatureShapes(config), tensors), config, classNames, hash };
}
