import { maskingOfOrders } from '@tb/backbone';
import type { HostTensor } from '@tb/io';
import { goldenJson, goldenPath } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { loadTokenBridge } from '../src/files.js';
import type { LossInputs } from '../src/masked-context.js';
import type { TokenBridgeConfig } from '../src/model.js';
import { configFromOfficial } from '../src/official.js';

/** The golden model's configuration, read from the golden set. */
export function goldenConfig(): TokenBridgeConfig {
  const { config, derived } = goldenJson('tokenbridge', 'config.json');
  return configFromOfficial(config, derived.channel_order);
}

/** The golden model, from its official checkpoint. */
export function goldenModel({ ema = false } = {}) {
  return loadTokenBridge(goldenPath('tokenbridge', 'checkpoint-last.pth'), { ema, config: goldenConfig() });
}

/** Inputs of a forward case, with lists of positions padded to multiples of `granularity` (1: not at all). */
export function caseInputs(golden: Record<string, HostTensor>, name: string, granularity: number): LossInputs {
  const description = goldenJson('tokenbridge', 'config.json').forward_cases[name];
  const [images, positions] = golden[`${name}.orders`].shape;
  const orders = Array.from({ length: images }, (_, image) =>
    rowOf(golden[`${name}.orders`].data as Int32Array, image, positions),
  );
  const dropped: boolean[] = description.label_dropped ?? orders.map(() => false);
  return {
    latents: tf.transpose(tensorOf<tf.Tensor4D>(golden[`${name}.latents`]), [0, 2, 3, 1]),
    labels: tensorOf<tf.Tensor1D>(golden[`${name}.labels`]),
    masks: {
      ...maskingOfOrders(orders, description.num_masked, granularity),
      unlabelled: tf.tensor1d(dropped.map(Number)),
    },
  };
}

export function rowOf<Data extends Int32Array | Float32Array>(data: Data, row: number, length: number): Data {
  return data.slice(row * length, (row + 1) * length) as Data;
}

export function tensorOf<T extends tf.Tensor = tf.Tensor>({ dtype, data, shape }: HostTensor): T {
  return tf.tensor(data as Int32Array, shape, dtype === 'I32' ? 'int32' : 'float32') as T;
}
