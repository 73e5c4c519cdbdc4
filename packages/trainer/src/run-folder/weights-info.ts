import { basename, dirname } from 'node:path';
import { FileFormatError, fileSha256, type JsonShape, jsonShape, openSafetensors, parseJson, reasonOf } from '@tb/io';
import { assertTokenBridgeConfig, type ImageModelConfig, modelConfigKey } from '@tb/tokenbridge';
import { kl16, type VaeConfig, vaeConfigKey, vaePresets } from '@tb/vae';
import { checkpointFormat } from './layout.js';
import { type Manifest, readManifest } from './manifest.js';

/** What weights state about themselves, in the metadata of their safetensors header; other makers' files state less. */
export type WeightsInfo = {
  /** Present in the weights of an autoencoder. */
  vaeConfig?: VaeConfig;
  /** Present in the weights of a model of TokenBridge or MAR. */
  modelConfig?: ImageModelConfig;
  /** Names of the classes, in the order of their labels. */
  classNames?: string[];
  /** Side in pixels of the images that they were trained on. */
  imageSize?: number;
  /** SHA-256 of the autoencoder whose latents a model was trained on. */
  vaeSha256?: string;
  /** The factor of the latents that a model was trained on, where it is not that of kl16. */
  latentScale?: number;
};

/** Writes what weights are to state about themselves as safetensors metadata. */
export function describeWeights(info: WeightsInfo): Record<string, string> {
  const { vaeConfig, modelConfig, classNames, imageSize, vaeSha256, latentScale } = info;
  return {
    ...(vaeConfig && { [vaeConfigKey]: JSON.stringify(vaeConfig) }),
    ...(modelConfig && { [modelConfigKey]: JSON.stringify(modelConfig) }),
    ...(classNames && { classNames: JSON.stringify(classNames) }),
    ...(imageSize !== undefined && { imageSize: String(imageSize) }),
    ...(vaeSha256 && { vaeSha256 }),
    ...(latentScale !== undefined && latentScale !== kl16.latentScale && { latentScale: String(latentScale) }),
  };
}

/**
 * Reads what a file of weights states about itself, and its hash. That of a file in a checkpoint is checked.
 *
 * @throws Error when the file is missing, or its metadata is not what `describeWeights` writes; FileFormatError when a
 *   safetensors file is damaged
 */
export async function readWeightsInfo(path: string): Promise<WeightsInfo & { sha256: string }> {
  const sha256 = await fileSha256(path);
  const recorded = await sha256InManifest(path);
  if (recorded !== undefined && recorded !== sha256)
    throw new FileFormatError(path, undefined, 'it does not have the SHA-256 that its checkpoint states');
  return { ...(await readWeightsMetadata(path)), sha256 };
}

/** What the manifest next to a file states, if there is one that can be read. */
async function sha256InManifest(path: string): Promise<string | undefined> {
  const none: Manifest['files'] = {};
  const { files } = await readManifest(dirname(path), checkpointFormat).catch(() => ({ files: none }));
  return Object.hasOwn(files, basename(path)) ? files[basename(path)].sha256 : undefined;
}

/** Reads what a file of weights states about itself, from its header alone. Other formats than safetensors state nothing. */
export async function readWeightsMetadata(path: string): Promise<WeightsInfo> {
  if (!path.endsWith('.safetensors')) return {};
  const { metadata, close } = await openSafetensors(path);
  await close();
  const read = <Value>(key: string, shape: JsonShape<Value>): Value | undefined =>
    metadata[key] === undefined ? undefined : parseJson(metadata[key], shape, `${path}: its metadata ${key}`);
  const modelConfig = read(modelConfigKey, jsonShape.record(jsonShape.anything)) as ImageModelConfig | undefined;
  if (modelConfig) assertModelConfig(modelConfig, path);
  return {
    vaeConfig: read(vaeConfigKey, vaeConfigShape) as VaeConfig | undefined,
    modelConfig,
    classNames: read('classNames', jsonShape.list(jsonShape.text)),
    imageSize: read(
      'imageSize',
      jsonShape.passing(jsonShape.count, 'a positive integer', (size) => size > 0),
    ),
    vaeSha256: metadata.vaeSha256,
    latentScale: read(
      'latentScale',
      jsonShape.passing(jsonShape.number, 'a positive number', (scale) => scale > 0),
    ),
  };
}

/** Of the same form as a known configuration. */
const vaeConfigShape = jsonShape.object(
  Object.fromEntries(
    Object.entries(vaePresets.kl16).map(([name, example]) => [
      name,
      Array.isArray(example) ? jsonShape.list(jsonShape.number) : jsonShape.number,
    ]),
  ),
);

function assertModelConfig(config: ImageModelConfig, path: string): void {
  try {
    assertTokenBridgeConfig(config);
  } catch (error) {
    // JavaScript's own errors come from a structure of another form, and mean nothing to a reader.
    const reason = error instanceof TypeError ? 'it is not a configuration' : reasonOf(error);
    throw new Error(`${path}: its metadata ${modelConfigKey} does not describe a model: ${reason}`);
  }
}
