import { maskingOfOrders } from '@tb/backbone';
import { type HostTensor, toFloat32 } from '@tb/io';
import { loadParameters } from '@tb/nn';
import { goldenJson, goldenTensors } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import type { TokenBridgeConfig } from '../src/config.js';
import type { LossInputs } from '../src/loss.js';
import { configFromOfficial } from '../src/official-config.js';
import { type TokenBridge, tokenBridgeShapes } from '../src/parameters.js';

/** The golden model: everything read from the golden set, nothing known beforehand. */
export async function goldenModel(): Promise<{ params: TokenBridge; config: TokenBridgeConfig }> {
  const description = goldenJson('tokenbridge', 'config.json');
  const tensors = { ...(await goldenTensors('tokenbridge', 'model.safetensors')) };
  const codebook = [...toFloat32(tensors.reconstruction_values)];
  for (const name of description.buffers) delete tensors[name];
  const official = configFromOfficial(description.config);
  const config: TokenBridgeConfig = {
    ...official,
    quantizer: { ...official.quantizer, codebook },
    channelOrder: description.derived.channel_order,
  };
  return { params: loadParameters<TokenBridge>(tokenBridgeShapes(config), tensors), config };
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
