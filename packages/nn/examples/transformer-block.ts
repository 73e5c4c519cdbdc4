// A pre-norm transformer block, and one step of gradient descent on one of its weights.
import {
  type Attention,
  applyAttention,
  applyLayerNorm,
  applyMlp,
  attentionParameters,
  countParameters,
  type Declaration,
  initParameters,
  type LayerNorm,
  layerNormParameters,
  type Mlp,
  mlpParameters,
} from '@tb/nn';
import { flattenTree, normal, randomKey, splitKey, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';

type Block = { norm1: LayerNorm; attn: Attention; norm2: LayerNorm; mlp: Mlp };

const width = 32;
const heads = 4;

const blockParameters: Declaration<Block> = {
  norm1: layerNormParameters(width),
  attn: attentionParameters({ width, heads }),
  norm2: layerNormParameters(width),
  mlp: mlpParameters(width, 4 * width),
};

function applyBlock(params: Block, x: tf.Tensor3D): tf.Tensor3D {
  const attended = tf.add(x, applyAttention(params.attn, applyLayerNorm(params.norm1, x), { heads })) as tf.Tensor3D;
  return tf.add(attended, applyMlp(params.mlp, applyLayerNorm(params.norm2, attended)));
}

await useBackend('wasm');
const [blockKey, inputKey] = splitKey(randomKey(1), 2);
const block = initParameters<Block>(blockKey, blockParameters);
console.log(countParameters(block), 'parameters, such as', Object.keys(flattenTree(block))[2]);

const x = normal(inputKey, [2, 10, width]) as tf.Tensor3D; // 2 sequences of 10 positions
console.log('output', applyBlock(block, x).shape);

const loss = (qkvWeight: tf.Tensor) => {
  const attn = { ...block.attn, qkv: { ...block.attn.qkv, weight: qkvWeight } };
  return tf.mean(tf.square(applyBlock({ ...block, attn }, x))) as tf.Scalar;
};
const { value, grad } = tf.valueAndGrad(loss)(block.attn.qkv.weight);
const after = loss(tf.sub(block.attn.qkv.weight, tf.mul(grad, 0.1)));
console.log('the loss falls:', after.dataSync()[0] < value.dataSync()[0]);
