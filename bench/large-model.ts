/** What the measurements of the large model share: the backend, parameters and inputs made on the device, arguments. */
import { parseArgs } from 'node:util';
import { maskingOfOrders, randomOrder } from '@tb/backbone';
import {
  type BackendChoice,
  flattenTree,
  hostRandom,
  jit,
  type Key,
  normal,
  type ProcessGroup,
  randomIntegers,
  randomKey,
  splitKey,
  unflattenTree,
  useBackend,
} from '@tb/runtime';
import {
  type LossInputs,
  positionCount,
  presets,
  type TokenBridge,
  type TokenBridgeConfig,
  tokenBridgeShapes,
} from '@tb/tokenbridge';
import * as tf from '@tensorflow/tfjs-core';

export type Precision = 'bf16' | 'fp32';
export type PresetName = keyof typeof presets;

/** Arguments that every measurement has. */
const commonArguments = {
  backend: { type: 'string', default: 'xla' },
  preset: { type: 'string', default: 'large' },
  precision: { type: 'string', default: 'bf16' },
  /** `cpu` tries a benchmark without a GPU. */
  device: { type: 'string' },
  out: { type: 'string' },
  /** A folder: what is measured runs once more, recorded for TensorBoard's profile plugin. */
  profile: { type: 'string' },
} as const;

type Options = Record<string, { type: 'string'; default?: string }>;

/**
 * Parses the command line and opens the backend.
 *
 * @param processes - whose devices are used together
 */
export async function open<Extra extends Options>(extra: Extra, processes?: ProcessGroup) {
  const parsed = parseArgs({ options: { ...commonArguments, ...extra } }).values;
  const values = parsed as unknown as Record<
    keyof Extra | Exclude<keyof typeof commonArguments, 'device' | 'out' | 'profile'>,
    string
  > & { device?: string; out?: string; profile?: string };
  const { preset, precision } = values;
  if (!(preset in presets)) throw new Error(`--preset must be one of ${Object.keys(presets)}, got ${preset}`);
  if (precision !== 'bf16' && precision !== 'fp32')
    throw new Error(`--precision must be bf16 or fp32, got ${precision}`);
  await useBackend(values.backend as BackendChoice, { processes, device: values.device === 'cpu' ? 'cpu' : undefined });
  return { values, config: presets[preset as PresetName], precision: precision as Precision };
}

/** What `--parts` chose, separated by commas. */
export function partsOf(text: string, known: readonly string[]): string[] {
  const parts = text.split(',');
  if (!parts.every((part) => known.includes(part))) throw new Error(`--parts must be among ${known}, got ${text}`);
  return parts;
}

const drawNormal = jit(
  (key: Key, { shape, deviation }: { shape: number[]; deviation: number }) => tf.mul(normal(key, shape), deviation),
  { static: [1] },
);

const drawKeys = jit(splitKey, { static: [1] });

/**
 * Random parameters, drawn on the device by one small program per shape. Norms start at identity, biases at zero, matrices
 * at N(0, 0.02²) and token embeddings at N(0, 1). The modulations are not zero as in a new model: products with zeros run
 * faster than those of training.
 */
export function drawParameters(seed: number, config: TokenBridgeConfig): TokenBridge {
  const shapes = flattenShapes(tokenBridgeShapes(config));
  const key = randomKey(seed);
  const keys = drawKeys(key, Object.keys(shapes).length);
  const drawn = Object.entries(shapes).map(([name, shape], index) => {
    const isNorm = /norm|_ln/.test(name) && name.endsWith('.weight');
    const deviation = name.startsWith('token_embeddings') ? 1 : 0.02;
    const value = shape.length > 1 ? drawNormal(keys[index], { shape, deviation }) : tf.fill(shape, isNorm ? 1 : 0);
    return [name, value];
  });
  tf.dispose([key, keys]);
  return unflattenTree(Object.fromEntries(drawn)) as unknown as TokenBridge;
}

/** Shapes by name: the tree's leaves are arrays of numbers, which `flattenTree` would walk into. */
function flattenShapes(tree: unknown): Record<string, number[]> {
  const flat: Record<string, number[]> = {};
  for (const [name, size] of Object.entries(flattenTree<number>(tree as never))) {
    const cut = name.lastIndexOf('.');
    const leaf = name.slice(0, cut);
    flat[leaf] ??= [];
    flat[leaf].push(size);
  }
  return flat;
}

/** Masked positions of 256 at the mean of the mask ratio's distribution (0.867): 222, padded to 224; 48 visible. */
const MEAN_MASK_RATIO = 0.867;

/** Random latents and labels, and masks at the mean ratio. */
export function drawBatch(seed: number, config: TokenBridgeConfig, images: number): LossInputs {
  const random = hostRandom(seed, 1);
  const positions = positionCount(config);
  const orders = Array.from({ length: images }, () => randomOrder(random, positions));
  const masks = {
    ...maskingOfOrders(orders, Math.round(MEAN_MASK_RATIO * positions)),
    unlabelled: tf.tensor1d(Float32Array.from({ length: images }, () => (random.uniform() < 0.1 ? 1 : 0))),
  };
  const { height, width, channels } = config.latent;
  const drawn = tf.tidy(() => {
    const [latentKey, labelKey] = splitKey(randomKey(seed), 2);
    return {
      latents: normal(latentKey, [images, height, width, channels]) as tf.Tensor4D,
      labels: randomIntegers(labelKey, [images], 0, config.classes) as tf.Tensor1D,
    };
  });
  return { ...drawn, masks };
}

/** Waits until the device has computed a scalar; disposes it. */
export async function settle(scalar: tf.Tensor): Promise<number> {
  const [value] = await scalar.data();
  scalar.dispose();
  return value;
}

export const gibibytes = (bytes: number) => bytes / 2 ** 30;
export const seconds = (since: number) => (performance.now() - since) / 1000;
export const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
export const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
/** Three significant digits: what a measurement is good for. */
export const rounded = (value: number) => Number(value.toPrecision(4));
