import { fileSha256, openSafetensors } from '@tb/io';
import { modelConfigKey, type TokenBridgeConfig } from '@tb/tokenbridge';
import { type VaeConfig, vaeConfigKey } from '@tb/vae';

/** What a weights file says about itself, in the metadata of its safetensors header; files of other makers say less. */
export type WeightsInfo = {
  /** Present in the weights of an autoencoder. */
  vaeConfig?: VaeConfig;
  /** Present in the weights of a TokenBridge model. */
  modelConfig?: TokenBridgeConfig;
  /** Names of the classes, in the order of their labels. */
  classNames?: string[];
  /** Side in pixels of the pictures it was trained on. */
  imageSize?: number;
  /** SHA-256 of the autoencoder whose latents a model was trained on. */
  vaeSha256?: string;
};

/** What weights are to say about themselves, as safetensors metadata. */
export function describeWeights(info: WeightsInfo): Record<string, string> {
  const { vaeConfig, modelConfig, classNames, imageSize, vaeSha256 } = info;
  return {
    ...(vaeConfig && { [vaeConfigKey]: JSON.stringify(vaeConfig) }),
    ...(modelConfig && { [modelConfigKey]: JSON.stringify(modelConfig) }),
    ...(classNames && { classNames: JSON.stringify(classNames) }),
    ...(imageSize !== undefined && { imageSize: String(imageSize) }),
    ...(vaeSha256 && { vaeSha256 }),
  };
}

/**
 * Reads what a weights file says about itself, and its hash.
 *
 * @throws Error when the file is missing; FileFormatError when a safetensors file is damaged
 */
export async function readWeightsInfo(path: string): Promise<WeightsInfo & { sha256: string }> {
  const sha256 = await fileSha256(path);
  if (!path.endsWith('.safetensors')) return { sha256 };
  const file = await openSafetensors(path);
  await file.close();
  const parsed = (key: string) => (file.metadata[key] === undefined ? undefined : JSON.parse(file.metadata[key]));
  return {
    sha256,
    vaeConfig: parsed(vaeConfigKey),
    modelConfig: parsed(modelConfigKey),
    classNames: parsed('classNames'),
    imageSize: parsed('imageSize'),
    vaeSha256: file.metadata.vaeSha256,
  };
}
