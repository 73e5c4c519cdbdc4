import {
  assertContentHash,
  type ByteInput,
  type HostTensor,
  InputError,
  isSafetensors,
  jsonShape,
  nameOf,
  openWeights,
  parseJson,
  toFloat32,
  withContentHash,
  writeSafetensors,
} from '@tb/io';
import { loadParameters, readParameters } from '@tb/nn';
import { disposeTree } from '@tb/runtime';
import {
  assertTokenBridgeConfig,
  type ImageModel,
  type ImageModelConfig,
  isMar,
  modelOf,
  type TokenBridge,
  type TokenBridgeConfig,
  tokenBridgeShapes,
} from './model.js';
import { ConfigNeededError, configOfShapes } from './official.js';
import { quantizerOf } from './quantization.js';

/** Key under which the header of a safetensors file written by `saveTokenBridge` holds its `TokenBridgeConfig` as JSON. */
export const modelConfigKey = 'tokenbridge.config';

/** Options of `loadTokenBridge` and `loadImageModel`. */
export type LoadOptions<Config extends ImageModelConfig = TokenBridgeConfig> = {
  /** Take the averaged weights (`model_ema`) of an official checkpoint. A safetensors file holds one set of weights. */
  ema?: boolean;
  /** For files without a configuration whose weights `configOfShapes` does not recognize. */
  config?: Config;
};

/** A model that `loadTokenBridge` has read. */
export type LoadedTokenBridge = {
  params: TokenBridge;
  config: TokenBridgeConfig;
  /** Prefix of the official names in the file, such as `module.`; usually empty. */
  prefix: string;
};

/** A model of either kind that `loadImageModel` has read. */
export type LoadedImageModel = Omit<LoadedTokenBridge, 'params' | 'config'> & {
  params: ImageModel;
  config: ImageModelConfig;
};

/**
 * Loads a TokenBridge model, as `loadImageModel` loads models of either kind.
 *
 * @throws InputError if it is a MAR model; what `loadImageModel` throws
 */
export async function loadTokenBridge(input: ByteInput, options: LoadOptions = {}): Promise<LoadedTokenBridge> {
  const { params, config, prefix } = await loadImageModel(input, options);
  const model = modelOf(params, config);
  if (!model.isMar) return { params: model.params, config: model.config, prefix };
  disposeTree(model.params);
  throw new InputError(
    'loadTokenBridge',
    `${nameOf(input)} holds a model of MAR, which has a diffusion head; loadImageModel reads it`,
  );
}

/**
 * Loads a model of TokenBridge or MAR: a `.safetensors` file, or an official checkpoint (`.pth`) as the released code writes it.
 * Of the latter only the weights asked for are read, whatever else is in it. Prefixes of wrappers before the names do not matter
 * (see `openWeights` of @tb/io).
 *
 * @param input - a path, or the file's bytes
 * @throws MissingPartError when the averaged weights are asked for and the checkpoint has none; InputError listing every
 *   missing, unexpected or wrongly shaped weight, or those that are not finite; ConfigNeededError when `config` must be given;
 *   FileFormatError if the file is damaged
 */
export async function loadImageModel(
  input: ByteInput,
  { ema = false, config }: LoadOptions<ImageModelConfig> = {},
): Promise<LoadedImageModel> {
  const file = await readWeights(input, ema);
  const { parameters, buffers } = separateBuffers(file.tensors);
  const modelConfig = config ?? file.config ?? configOfWeights(input, parameters);
  assertTokenBridgeConfig(modelConfig);
  const complete = isMar(modelConfig) ? modelConfig : configWithBuffers(modelConfig, buffers);
  const params = loadParameters<ImageModel>(tokenBridgeShapes(complete), parameters, nameOf(input));
  return { params, config: complete, prefix: file.prefix };
}

/** Options of `saveTokenBridge`. */
export type SaveOptions = {
  /** Default `F32`. `F16` and `BF16` halve the file. */
  dtype?: 'F32' | 'F16' | 'BF16';
  /** Strings to keep next to the configuration in the file's header, such as the names of the classes. */
  metadata?: Record<string, string>;
};

/** Writes weights by their official names, with the configuration, as one safetensors file. Replaces it atomically. */
export async function saveTokenBridge(
  path: string,
  { params, config }: { params: ImageModel; config: ImageModelConfig },
  { dtype = 'F32', metadata }: SaveOptions = {},
): Promise<void> {
  const buffers = isMar(config) ? {} : buffersOf(config);
  const tensors: Record<string, HostTensor> = { ...buffers, ...(await readParameters(params, dtype)) };
  const all = { ...metadata, format: 'pt', [modelConfigKey]: JSON.stringify(config) };
  await writeSafetensors(path, tensors, { metadata: withContentHash(tensors, all) });
}

/** A weight that every model has. */
const anchor = 'class_emb.weight';

type WeightFile = { tensors: Record<string, HostTensor>; config?: ImageModelConfig; prefix: string };

/** The averaged weights of an official checkpoint come without buffers; those of `model` serve. */
async function readWeights(input: ByteInput, ema: boolean): Promise<WeightFile> {
  if (ema && isSafetensors(input))
    throw new InputError('loadTokenBridge', 'ema must be false for safetensors; load the file of the averaged weights');
  const file = await openWeights(input, { anchor, part: ema ? 'model_ema' : undefined });
  try {
    const tensors = await file.read();
    const model = ema ? file.inPart('model') : undefined;
    const buffers = await model?.read(Object.keys(separateBuffers(model.tensors).buffers));
    assertContentHash(nameOf(input), { tensors, metadata: file.metadata }, true);
    const json = file.metadata[modelConfigKey];
    const config = json === undefined ? undefined : parseJson(json, configShape, `the metadata of ${nameOf(input)}`);
    return {
      tensors: { ...buffers, ...tensors },
      config: config as ImageModelConfig | undefined,
      prefix: file.prefix,
    };
  } finally {
    await file.close();
  }
}

/** `assertTokenBridgeConfig` checks the rest. */
const configShape = jsonShape.record(jsonShape.anything);

function configOfWeights(input: ByteInput, tensors: Record<string, HostTensor>): ImageModelConfig {
  try {
    return configOfShapes(shapesOf(tensors));
  } catch (error) {
    if (error instanceof ConfigNeededError) throw error;
    throw new Error(`${nameOf(input)}: ${(error as Error).message}`, { cause: error });
  }
}

const shapesOf = (tensors: Record<string, HostTensor>) =>
  Object.fromEntries(Object.entries(tensors).map(([name, { shape }]) => [name, shape]));

/** What an official state dict holds besides parameters. */
const bufferNames = ['reconstruction_values', 'boundaries', 'channel_mask'] as const;

/** Splits an official state dict into parameters and buffers. */
function separateBuffers<Entry>(stateDict: Readonly<Record<string, Entry>>) {
  const isBuffer = ([name]: [string, Entry]) => (bufferNames as readonly string[]).includes(name);
  const entries = Object.entries(stateDict);
  return {
    parameters: Object.fromEntries(entries.filter((entry) => !isBuffer(entry))),
    buffers: Object.fromEntries(entries.filter(isBuffer)),
  };
}

/**
 * Completes a configuration with a checkpoint's buffers: its reconstruction values override the computed ones. The other
 * buffers must agree with the configuration.
 *
 * @throws Error listing every buffer that does not fit
 */
function configWithBuffers(config: TokenBridgeConfig, buffers: Record<string, HostTensor>): TokenBridgeConfig {
  const { levels, range } = config.quantizer;
  const { channels } = config.latent;
  const shapes = { reconstruction_values: [levels], boundaries: [levels + 1], channel_mask: [channels, channels] };
  const problems = Object.entries(buffers)
    .filter(([name, { shape }]) => `${shape}` !== `${shapes[name as keyof typeof shapes]}`)
    .map(([name, { shape }]) => `${name} must be [${shapes[name as keyof typeof shapes]}], got [${shape}]`);
  if (problems.length === 0) {
    const { boundaries, channel_mask: mask, reconstruction_values: values } = buffers;
    const lowest = boundaries && toFloat32(boundaries)[0];
    if (boundaries && Math.abs(lowest + range) > 1e-5 * range)
      problems.push(`quantizer.range must be ${-lowest}, where the checkpoint's boundaries end, got ${range}`);
    if (mask && !isCausal(toFloat32(mask), channels)) problems.push('channel_mask must be causal');
    if (problems.length === 0 && values)
      return { ...config, quantizer: { ...config.quantizer, codebook: [...toFloat32(values)] } };
  }
  if (problems.length > 0)
    throw new InputError('loadTokenBridge', `buffers do not fit the model: ${problems.join('; ')}`);
  return config;
}

/** The buffers to write next to the parameters: those of an official model; none for a model that never had any. */
function buffersOf({ latent, quantizer }: TokenBridgeConfig): Record<string, HostTensor> {
  const { codebook, levels } = quantizer;
  if (!codebook) return {};
  const { channels } = latent;
  const mask = Float32Array.from({ length: channels ** 2 }, (_, index) =>
    index % channels > Math.floor(index / channels) ? Number.NEGATIVE_INFINITY : 0,
  );
  const boundaries = Float32Array.from(quantizerOf(quantizer).quantizer.boundaries);
  return {
    channel_mask: { dtype: 'F32', shape: [channels, channels], data: mask },
    reconstruction_values: { dtype: 'F32', shape: [levels], data: Float32Array.from(codebook) },
    boundaries: { dtype: 'F32', shape: [levels + 1], data: boundaries },
  };
}

function isCausal(mask: Float32Array, channels: number): boolean {
  return mask.every((value, index) => {
    const [row, column] = [Math.floor(index / channels), index % channels];
    return value === (column > row ? Number.NEGATIVE_INFINITY : 0);
  });
}
