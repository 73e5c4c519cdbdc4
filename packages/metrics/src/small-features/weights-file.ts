import { fileSha256, type HostTensor, InputError, readSafetensors, writeSafetensors } from '@tb/io';
import { loadParameters } from '@tb/nn';
import { flattenTree } from '@tb/runtime';
import { type SmallFeatureConfig, type SmallFeatures, smallFeatureShapes } from './network.js';

/** A trained network with what its file says about it. */
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
 * Writes a network as safetensors, float32, atomically; configuration and class names stand in the metadata.
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
  await writeSafetensors(path, Object.fromEntries(tensors), { metadata });
}

/**
 * @throws Error if the file is another kind of weights, or lists every weight that does not fit; FileFormatError if it
 *   is damaged
 */
export async function loadSmallFeatures(path: string): Promise<SmallFeatureFile> {
  const { tensors, metadata } = await readSafetensors(path);
  if (metadata[CONFIG_KEY] === undefined) {
    throw new InputError('loadSmallFeatures', `${path} must hold a feature network, as tb-train features writes it`);
  }
  const config = JSON.parse(metadata[CONFIG_KEY]) as SmallFeatureConfig;
  return {
    params: loadParameters<SmallFeatures>(smallFeatureShapes(config), tensors),
    config,
    classNames: JSON.parse(metadata.classNames) as string[],
    hash: await fileSha256(path),
  };
}
