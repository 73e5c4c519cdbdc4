/** Gather and scatter, by rows of an index array. */
import { makeNode, type Node } from '../graph/node.js';
import { combiner, type Reduction } from './reduce.js';
import { integers } from './shape.js';

const list = (values: readonly number[]) => `[${values.join(', ')}]`;

/**
 * Slices of `x` at the places that the last axis of `indices` names: index component i counts along axis i of `x`.
 * Places out of range are moved to the nearest one inside.
 *
 * @param x - [A₀ … A_{k−1}, rest…]
 * @param indices - i32 [batch…, k]
 * @returns [batch…, rest…]
 */
export function gatherSlices(x: Node, indices: Node): Node {
  const depth = indices.type.shape.at(-1)!;
  const batch = indices.type.shape.slice(0, -1);
  const rest = x.type.shape.slice(depth);
  const axes = Array.from({ length: depth }, (_, axis) => axis);
  const attributes =
    `dimension_numbers = #stablehlo.gather<offset_dims = ${list(rest.map((_, i) => batch.length + i))}, ` +
    `collapsed_slice_dims = ${list(axes)}, start_index_map = ${list(axes)}, index_vector_dim = ${batch.length}>, ` +
    `slice_sizes = ${integers([...axes.map(() => 1), ...rest])}, indices_are_sorted = false`;
  return makeNode('stablehlo.gather', [x, indices], attributes, { type: x.type.type, shape: [...batch, ...rest] });
}

/**
 * Combines `updates` into `x` at the places that `indices` name; places out of range are left out.
 *
 * @param x - [A₀ … A_{k−1}, rest…]
 * @param indices - i32 [batch…, k]
 * @param updates - [batch…, rest…]
 * @param reduction - how old and new combine; undefined keeps the new
 */
export function scatterSlices(x: Node, indices: Node, updates: Node, reduction?: Reduction): Node {
  const depth = indices.type.shape.at(-1)!;
  const batch = indices.type.shape.slice(0, -1);
  const axes = Array.from({ length: depth }, (_, axis) => axis);
  const window = updates.type.shape.slice(batch.length).map((_, i) => batch.length + i);
  const attributes =
    `scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = ${list(window)}, ` +
    `inserted_window_dims = ${list(axes)}, scatter_dims_to_operand_dims = ${list(axes)}, ` +
    `index_vector_dim = ${batch.length}>, indices_are_sorted = false, unique_indices = false`;
  const scalar = `tensor<${x.type.type}>`;
  const replace = `{ ^bb0(%old: ${scalar}, %new: ${scalar}): "stablehlo.return"(%new) : (${scalar}) -> () }`;
  const regions = reduction ? combiner(reduction, x.type.type) : replace;
  return makeNode('stablehlo.scatter', [x, indices, updates], attributes, x.type, { regions });
}
