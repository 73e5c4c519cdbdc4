/** The head's sampling of all groups of channels as one kernel: `SampleSymbols` of @tb/ar-head. */
import type { ArraySpec } from '../executor.js';
import type { Node } from '../graph/node.js';
import { dotGeneral } from '../hlo/contract.js';
import * as ew from '../hlo/elementwise.js';
import { constant } from '../hlo/literal.js';
import { broadcastTo, concatenate, convert, reshape, sliceAxis } from '../hlo/shape.js';
import type { Inputs } from '../kernels/registry.js';
import { dotPrecision } from '../precision.js';
import { type CudaLaunch, defineCudaKernel, withDefines } from './define-cuda-kernel.js';
import type { CudaDevice } from './ptx.js';
import { sampleSymbolsSource } from './sample-symbols.cu.js';

// R = rows, G = groups of channels, K = symbols, D = width

/** What the operation knows of the head; its attributes. */
type Head = {
  kind: string;
  channels: number;
  levels: number;
  groupSize: number;
  width: number;
  depth: number;
  heads: number;
  mlpRatio: number;
};

const WIDTH = 1024;
const HEADS = 8;
const HIDDEN = 4096;
/** Beyond that the plain program is faster. */
const MOST_ROWS = 16;
const MOST_GROUPS = 16;
const MOST_SYMBOLS = 1024;
/** Thread blocks, all of which must be resident at once: one on each multiprocessor. */
const BLOCKS = 128;
const THREADS = 512;
/** Arrays that the kernel takes of each block of layers. */
const BLOCK_OPERANDS = 17;

/** Shared memory of a block: the source's last address, and its four gates. */
const SHARED_BYTES = 229_504;

const groupsOf = ({ channels, groupSize }: Head) => channels / groupSize;
const symbolsOf = ({ levels, groupSize }: Head) => levels ** groupSize;

/** The operation's sizes that the kernel is not made for, or the card. */
function declines(inputs: Inputs, head: Head, device: CudaDevice): string | undefined {
  const [groups, symbols] = [groupsOf(head), symbolsOf(head)];
  const rows = inputs['condition.start']!.node.type.shape[0]!;
  const conditions: [boolean, string][] = [
    [device.capability === '9.0', `made for compute capability 9.0, this GPU has ${device.capability}`],
    [device.multiprocessors >= BLOCKS, `needs ${BLOCKS} multiprocessors, ${device.kind} has ${device.multiprocessors}`],
    [head.kind === 'autoregressive', `made for autoregressive heads, this one is ${head.kind}`],
    [
      head.width === WIDTH && head.heads === HEADS && head.width * head.mlpRatio === HIDDEN,
      `made for width ${WIDTH}, ${HEADS} heads and hidden width ${HIDDEN}`,
    ],
    [groups >= 2 && groups <= MOST_GROUPS, `made for 2 to ${MOST_GROUPS} groups of channels, got ${groups}`],
    [
      symbols % 8 === 0 && symbols <= MOST_SYMBOLS,
      `made for at most ${MOST_SYMBOLS} symbols in multiples of 8, got ${symbols}`,
    ],
    [rows <= MOST_ROWS, `made for at most ${MOST_ROWS} rows, got ${rows}`],
    [areWeightsStored(inputs, head), 'the weights are not stored in bfloat16'],
  ];
  return conditions.find(([isMet]) => !isMet)?.[1];
}

const LAYERS = ['attn.qkv', 'attn.proj', 'mlp.fc1', 'mlp.fc2'];

function areWeightsStored(inputs: Inputs, head: Head): boolean {
  const layers = [
    ...range(head.depth).flatMap((block) => LAYERS.map((layer) => `params.channel_blocks.${block}.${layer}`)),
    ...range(groupsOf(head)).map((group) => `params.channel_heads.${group}`),
  ];
  return layers.every((layer) =>
    ['weight', 'bias'].every((part) => inputs[`${layer}.${part}`]?.node.type.type === 'bf16'),
  );
}

/** Scale and offset of a norm with its modulation, and what the product behind it makes of them: operands of the source. */
function normOperands(norm: Node[], modulation: Node, first: number, weight: Node): [scale: Node, shifts: Node] {
  const [rows, groups] = modulation.type.shape as [number, number];
  const full = (vector: Node) => broadcastTo(vector, [rows, groups, WIDTH]);
  const chunk = (index: number) => convert(sliceAxis(modulation, 2, index * WIDTH, (index + 1) * WIDTH), 'f32');
  const [shift, change] = [chunk(first), chunk(first + 1)];
  const factor = ew.add(change, ew.like(change, 1));
  const scale = convert(ew.multiply(full(norm[0]!), factor), 'bf16');
  const offset = convert(ew.add(ew.multiply(full(norm[1]!), factor), shift), 'bf16');
  const both = concatenate(
    [scale, offset].map((x) => reshape(x, [rows, groups, 1, WIDTH])),
    2,
  );
  const outputs = weight.type.shape[0]!;
  const axes = { lhsBatch: [], rhsBatch: [], lhsContracting: [1], rhsContracting: [1] };
  const product = dotGeneral(reshape(both, [rows * groups * 2, WIDTH]), weight, axes, 'f32', dotPrecision());
  return [scale, reshape(product, [rows, groups, 2, outputs])];
}

function launch(inputs: Inputs, head: Head): CudaLaunch {
  const [groups, symbols, { depth }] = [groupsOf(head), symbolsOf(head), head];
  const rows = inputs['condition.start']!.node.type.shape[0]!;
  const take = takerOf(inputs);
  const start = reshape(take('condition.start', 'f32'), [rows, WIDTH]);
  const isGreedy = !inputs.noise;
  const board: ArraySpec = { type: 'i32', shape: [boardWords(rows, groups, depth, symbols)] };
  const operands = [
    start,
    take('condition.final', 'bf16'),
    isGreedy ? start : take('noise', 'f32'), // not read when greedy
    isGreedy ? start : take('temperature', 'f32'),
    take('params.channel_embed', 'f32'),
    ...take.both('params.channel_norm', 'f32'),
    ...range(groups - 1).map((group) => take(`params.token_embeddings.${group}.weight`, 'f32')),
    ...range(groups).flatMap((group) => take.both(`params.channel_heads.${group}`, 'bf16')),
    ...range(depth).flatMap((block) => blockOperands(take, block)),
    constant(-1, 'i32', board.shape), // words of the board that nobody has written yet
  ];
  const results: ArraySpec[] = [
    { type: 'f32', shape: [rows, groups, symbols] },
    { type: 'i32', shape: [rows, groups] },
    board,
  ];
  return {
    operands,
    results,
    returns: [0, 1],
    aliases: { 2: operands.length - 1 },
    grid: [BLOCKS],
    block: [THREADS],
    sharedBytes: SHARED_BYTES,
    defines: definesOf({ rows, groups, depth, symbols, isGreedy }),
  };
}

/** Takes operands by their names in the operation's inputs, converted to the type that the kernel reads. */
function takerOf(inputs: Inputs) {
  const take = (name: string, type: 'f32' | 'bf16'): Node => convert(inputs[name]!.node, type);
  const both = (name: string, type: 'f32' | 'bf16') => [take(`${name}.weight`, type), take(`${name}.bias`, type)];
  return Object.assign(take, { both });
}

/** The operands of one block of layers, in the order of the kernel's parameters. */
function blockOperands(take: ReturnType<typeof takerOf>, block: number): Node[] {
  const layer = (name: string, type: 'f32' | 'bf16') => take.both(`params.channel_blocks.${block}.${name}`, type);
  const modulation = take(`modulations.${block}`, 'bf16');
  const [qkv, fc1] = [layer('attn.qkv', 'bf16'), layer('mlp.fc1', 'bf16')];
  return [
    ...normOperands(layer('norm1', 'f32'), modulation, 0, qkv[0]!),
    ...normOperands(layer('norm2', 'f32'), modulation, 3, fc1[0]!),
    modulation,
    ...qkv,
    ...layer('attn.q_norm', 'f32'),
    ...layer('attn.k_norm', 'f32'),
    ...layer('attn.proj', 'bf16'),
    ...fc1,
    ...layer('mlp.fc2', 'bf16'),
  ];
}

type Sizes = { rows: number; groups: number; depth: number; symbols: number; isGreedy: boolean };

function definesOf({ rows, groups, depth, symbols, isGreedy }: Sizes): NonNullable<CudaLaunch['defines']> {
  // Inputs, tables, classifiers, blocks, the board; then the three results.
  const pointers = 7 + (groups - 1) + 2 * groups + BLOCK_OPERANDS * depth + 1 + 3;
  return {
    ROWS: rows,
    GROUPS: groups,
    DEPTH: depth,
    SYMBOLS: symbols,
    IS_GREEDY: isGreedy,
    ...pointerMacros(pointers),
  };
}

/** Words of 4 bytes: of every group and block bfloat16 activations and float32 sums; float32 logits; bfloat16 keys. */
function boardWords(rows: number, groups: number, depth: number, symbols: number): number {
  const activations = groups * depth * rows * (3 * WIDTH + WIDTH + WIDTH + HIDDEN + WIDTH);
  const sums = groups * depth * rows * 2 * BLOCKS * 2;
  const keys = depth * rows * WIDTH * groups;
  return activations / 2 + sums + groups * rows * symbols + keys / 2;
}

/** A kernel called by XLA has one parameter for each array. The source copies them into a table. */
function pointerMacros(count: number): Record<string, string> {
  return {
    POINTER_PARAMETERS: range(count)
      .map((index) => `const void* p${index}`)
      .join(', '),
    KEEP_POINTERS: range(count)
      .map((index) => `pointers[${index}] = p${index};`)
      .join(' '),
  };
}

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** The kernel's source for these sizes, as it is compiled. */
export function sampleSymbolsProgram(sizes: { rows: number; groups: number; depth: number; symbols: number }): string {
  return withDefines(sampleSymbolsSource, definesOf({ ...sizes, isGreedy: false }));
}

/** Registers the kernel. */
export function defineSampleSymbols(): void {
  defineCudaKernel('SampleSymbols', { source: sampleSymbolsSource, entry: 'sample_symbols', launch, declines });
}
