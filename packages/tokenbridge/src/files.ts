import {
  type ByteInput,
  type HostTensor,
  isSafetensors,
  nameOf,
  openCheckpoint,
  readSafetensors,
  writeSafetensors,
} from '@tb/io';
import { loadParameters, readParameters } from '@tb/nn';
import { buffersOf, configWithBuffers, separateBuffers } from './buffers.js';
import { assertTokenBridgeConfig, type TokenBridgeConfig } from './config.js';
import { ConfigNeededError, configOfShapes } from './config-of-shapes.js';
import { type TokenBridge, tokenBridgeShapes } from './parameters.js';

/** Key under which the header of a safetensors file written by `saveTokenBridge` holds its `TokenBridgeConfig` as JSON. */
export const modelConfigKey = 'tokenbridge.config';

export type LoadOptions = {
  /** Take the averaged weights (`model_ema`) of an official checkpoint. A safetensors file holds one set of weights. */
  ema?: boolean;
  /** For files that do not bring a configuration, and whose shapes do not tell it (see `configOfShapes`). */
  config?: TokenBridgeConfig;
};

/**
 * Loads a model: a `.safetensors` file, or an official checkpoint (`.pth`) as the released code writes it. Of the latter only
 * the weights asked for are read.
 *
 * @param input - a path, or the file's bytes
 * @throws Error listing every weight that is missing, surplus or misshapen; ConfigNeededError when `config` must be given;
 *   FileFormatError if the file is damaged
 */
export async function loadTokenBridge(
  input: ByteInput,
  { ema = false, config }: LoadOptions = {},
): Promise<{ params: TokenBridge; config: TokenBridgeConfig }> {
  const file = isSafetensors(input) ? await readWeights(input, ema) : await readOfficial(input, ema);
  const { parameters, buffers } = separateBuffers(file.tensors);
  const given = config ?? file.config ?? configOfWeights(input, parameters);
  assertTokenBridgeConfig(given);
  const complete = configWithBuffers(given, buffers);
  const params = loadParameters<TokenBridge>(tokenBridgeShapes(complete), parameters, nameOf(input));
  return { params, config: complete };
}

export type SaveOptions = {
  /** Default `F32`. `F16` and `BF16` halve the file. */
  dtype?: 'F32' | 'F16' | 'BF16';
  /** Strings to keep beside the configuration in the file's header, such as the names of the classes. */
  metadata?: Record<string, string>;
};

/** Writes weights by their official names, with the configuration, as one safetensors file. Replaces it atomically. */
export async function saveTokenBridge(
  path: string,
  { params, config }: { params: TokenBridge; config: TokenBridgeConfig },
  { dtype = 'F32', metadata }: SaveOptions = {},
): Promise<void> {
  const tensors: Record<string, HostTensor> = { ...buffersOf(config), ...(await readParameters(params, dtype)) };
  await writeSafetensors(path, tensors, {
    metadata: { ...metadata, format: 'pt', [modelConfigKey]: JSON.stringify(config) },
  });
}

type WeightFile = { tensors: Record<string, HostTensor>; config?: TokenBridgeConfig };

async function readWeights(input: ByteInput, ema: boolean): Promise<WeightFile> {
  if (ema) throw new Error('loadTokenBridge: ema must be false for safetensors; load the file of the averaged weights');
  const { tensors, metadata } = await readSafetensors(input);
  const json = metadata[modelConfigKey];
  return { tensors, config: json === undefined ? undefined : JSON.parse(json) };
}

/** The averaged weights come without buffers; those of `model` serve. */
async function readOfficial(input: ByteInput, ema: boolean): Promise<WeightFile> {
  const checkpoint = await openCheckpoint(input);
  try {
    const tensors = (await checkpoint.load(ema ? 'model_ema' : 'model')) as Record<string, HostTensor>;
    const { model = {} } = checkpoint.value as Record<string, Record<string, unknown>>;
    for (const name of ema ? Object.keys(separateBuffers(model).buffers) : [])
      tensors[name] = (await checkpoint.load('model', name)) as HostTensor;
    return { tensors };
  } finally {
    await checkpoint.close();
  }
}

function configOfWeights(input: ByteInput, tensors: Record<string, HostTensor>): TokenBridgeConfig {
  try {
    return configOfShapes(shapesOf(tensors));
  } catch (error) {
    if (error instanceof ConfigNeededError) throw error;
    throw new Error(`${nameOf(input)}: ${(error as Error).message}`, { cause: error });
  }
}

const shapesOf = (tensors: Record<string, HostTensor>) =>
  Object.fromEntries(Object.entries(tensors).map(([name, { shape }]) => [name, shape]));
