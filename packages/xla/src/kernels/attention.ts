/**
 * Attention whose scores are never stored: cuDNN's flash attention in bf16 programs on GPUs, single operations elsewhere.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { XlaBackend } from '../backend.js';
import { activeTrace, makeNodes, type Node } from '../graph/node.js';
import { dotGeneral } from '../hlo/contract.js';
import * as ew from '../hlo/elementwise.js';
import { constant, iota } from '../hlo/literal.js';
import { broadcastInDim, convert, transpose } from '../hlo/shape.js';
import { dotPrecision, productType } from '../precision.js';
import { softmax } from './reduction.js';
import type { Inputs, KernelTable } from './registry.js';

// N = sequences, S = queries, T = keys, H = heads, E = width of a head

/** Whether cuDNN can compute this on Hopper GPUs. */
const LARGEST_HEAD = 256;

function isForCudnn(query: Node): boolean {
  if (process.env.TB_XLA_ATTENTION === 'plain') return false;
  const { platform } = (tf.backend() as XlaBackend).executor;
  const width = query.type.shape[3];
  return platform === 'cuda' && activeTrace()?.precision === 'bf16' && width % 8 === 0 && width <= LARGEST_HEAD;
}

const strings = (values: readonly number[]) => values.map(String);

const contraction = (lhs: [number, number, number], rhs: [number, number, number]) => ({
  lhs_contracting_dimensions: strings([lhs[2]]),
  rhs_contracting_dimensions: strings([rhs[2]]),
  lhs_batch_dimensions: strings(lhs.slice(0, 2)),
  rhs_batch_dimensions: strings(rhs.slice(0, 2)),
});

/** The call's configuration, in the JSON form of XLA's `GpuBackendConfig` (xla/service/gpu/backend_configs.proto). */
function cudnnConfig(scores: readonly number[], scale: number, isPadded: boolean): string {
  return JSON.stringify({
    operation_queue_id: '0',
    cudnn_fmha_backend_config: {
      algorithm: {
        algo_id: '0',
        math_type: 'TENSOR_OP_MATH',
        tuning_knobs: { 17: '1', 24: '0' },
        is_cudnn_frontend: true,
        workspace_size: '0',
      },
      fmha_scale: scale,
      intermediate_tensor_shape: {
        element_type: 'BF16',
        dimensions: strings(scores),
        layout: { minor_to_major: strings([3, 2, 1, 0]) },
        is_dynamic_dimension: scores.map(() => false),
      },
      is_flash_attention: true,
      mask_type: isPadded ? 'PADDING' : 'NO_MASK',
      bmm1_dot_dimension_numbers: contraction([0, 2, 3], [0, 2, 3]),
      bmm2_dot_dimension_numbers: contraction([0, 1, 3], [0, 2, 1]),
      dropout_rate: 0,
      seed: 42,
      sliding_window_length: 0,
      max_seg_per_batch: 1,
      is_paged_attention: false,
    },
  });
}

const layout = (minorToMajor: readonly number[]) =>
  `dense<[${minorToMajor.join(', ')}]> : tensor<${minorToMajor.length}xindex>`;

function cudnnAttention([query, key, value]: Node[], keyCounts: Node | undefined, scale: number): Node {
  const [sequences, queries, heads, width] = query.type.shape;
  const keys = key.type.shape[1];
  const rowMajor = layout([3, 2, 1, 0]);
  // Every query is computed, rows of padding too: what cuDNN leaves in rows that it skips is not defined.
  const counts = keyCounts ? [constant(queries, 'i32', [sequences]), keyCounts] : [];
  const config = JSON.stringify(cudnnConfig([sequences, heads, queries, keys], scale, keyCounts !== undefined));
  const attributes = [
    'call_target_name = "__cudnn$fmhaSoftmax"',
    'api_version = 2 : i32',
    `backend_config = ${config.replaceAll('\\"', '\\22')}`,
    `operand_layouts = [${[rowMajor, rowMajor, rowMajor, ...counts.map(() => layout([0]))].join(', ')}]`,
    `result_layouts = [${layout([3, 1, 2, 0])}, ${layout([0])}]`, // position after position, head after head
  ];
  const [mixed] = makeNodes('stablehlo.custom_call', [query, key, value, ...counts], attributes.join(', '), [
    { type: 'bf16', shape: [sequences, heads, queries, width] },
    { type: 'ui8', shape: [0] }, // scratch, sized by XLA
  ]);
  return transpose(mixed, [0, 2, 1, 3]);
}

/** −∞ for keys beyond their sequence's count, else 0: [N, H, S, T]. */
function penalty(keyCounts: Node, scores: readonly number[]): Node {
  const isPadding = ew.compare('GE', iota('i32', scores, 3), broadcastInDim(keyCounts, scores, [0]));
  return ew.select(isPadding, constant(-Infinity, 'f32', scores), constant(0, 'f32', scores));
}

function plainAttention([query, key, value]: Node[], keyCounts: Node | undefined, scale: number): Node {
  const byHead = { lhsBatch: [0, 2], rhsBatch: [0, 2], lhsContracting: [3], rhsContracting: [3] };
  const products = dotGeneral(query, key, byHead, 'f32', dotPrecision());
  const scores = ew.multiply(products, ew.like(products, scale)); // [N, H, S, T]
  const masked = keyCounts ? ew.add(scores, penalty(keyCounts, scores.type.shape)) : scores;
  const weights = convert(softmax(masked, 3), productType());
  const mixing = { lhsBatch: [0, 1], rhsBatch: [0, 2], lhsContracting: [3], rhsContracting: [1] };
  return transpose(dotGeneral(weights, value, mixing, productType(), dotPrecision()), [0, 2, 1, 3]);
}

function attention({ query, key, value, keyCounts }: Inputs, { scale }: { scale: number }): Node {
  const operands = [query, key, value].map(({ node }) => convert(node, productType()));
  const apply = isForCudnn(query.node) ? cudnnAttention : plainAttention;
  return apply(operands, keyCounts?.node, scale);
}

export const attentionKernels: KernelTable = {
  FusedAttention: (inputs, attributes) => attention(inputs, attributes),
};
