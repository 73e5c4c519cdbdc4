/**
 * The graph node of a compiled kernel: XLA's custom call `__gpu$xla.gpu.ptx`, which launches PTX. Its dictionary is checked
 * here first, since XLA ends the process at some mistakes in it.
 */
import { type ArraySpec, byteSize, tensorType } from '../executor.js';
import { makeNodes, type Node } from '../graph/node.js';

export type KernelCall = {
  /** The kernel's `extern "C" __global__` name. */
  entry: string;
  ptx: string;
  /** What the kernel reads: one pointer parameter each, in this order. */
  operands: readonly Node[];
  /** What it writes: one pointer parameter each, after the operands. */
  results: readonly ArraySpec[];
  /** Thread blocks on one to three axes. */
  grid: readonly number[];
  /** Threads of a block on one to three axes, at most 1024 together. */
  block: readonly number[];
  /** Dynamic shared memory of a block in bytes; default 0. */
  sharedBytes?: number;
  /** Operand by result number: the result takes the operand's memory, and starts with its values. */
  aliases?: Readonly<Record<number, number>>;
};

/** The most dynamic shared memory that a block can have on any GPU so far. */
const MOST_SHARED_BYTES = 227 * 1024;
const LARGEST_GRID = [2 ** 31 - 1, 65535, 65535];
const LARGEST_BLOCK = [1024, 1024, 64];

/**
 * The kernel's results.
 * @throws Error listing everything that is wrong with the call
 */
export function kernelCall(call: KernelCall): Node[] {
  const problems = problemsOf(call);
  if (problems.length > 0) throw new Error(`kernelCall: ${call.entry}: ${problems.join('; ')}`);
  return makeNodes('stablehlo.custom_call', call.operands, attributesOf(call), call.results);
}

function problemsOf({
  entry,
  ptx,
  operands,
  results,
  grid,
  block,
  sharedBytes = 0,
  aliases = {},
}: KernelCall): string[] {
  const problems: string[] = [];
  if (!/^[A-Za-z_]\w*$/.test(entry)) problems.push(`entry must be a C identifier, got ${JSON.stringify(entry)}`);
  else {
    const parameters = parametersOf(ptx, entry);
    const expected = operands.length + results.length;
    if (parameters === undefined) problems.push(`the PTX has no entry ${entry}; declare it extern "C" __global__`);
    else if (parameters.length !== expected || parameters.some((type) => type !== 'u64'))
      problems.push(`the kernel must have ${expected} pointer parameters, got (${parameters.join(', ')})`);
  }
  problems.push(...sizeProblems('grid', grid, LARGEST_GRID), ...sizeProblems('block', block, LARGEST_BLOCK));
  const threads = block.reduce((product, size) => product * size, 1);
  if (threads > 1024) problems.push(`block must have at most 1024 threads, got ${threads}`);
  if (!Number.isInteger(sharedBytes) || sharedBytes < 0 || sharedBytes > MOST_SHARED_BYTES)
    problems.push(`sharedBytes must be an integer from 0 to ${MOST_SHARED_BYTES}, got ${sharedBytes}`);
  if (results.length === 0) problems.push('results must have an entry');
  for (const [result, operand] of Object.entries(aliases))
    problems.push(...aliasProblems(results[+result], operands[operand], result, operand));
  return problems;
}

function sizeProblems(name: string, sizes: readonly number[], largest: readonly number[]): string[] {
  const isFit =
    sizes.length >= 1 &&
    sizes.length <= 3 &&
    sizes.every((size, i) => Number.isInteger(size) && size >= 1 && size <= largest[i]!);
  return isFit
    ? []
    : [`${name} must be one to three integers from 1 to ${largest.join(', ')}, got [${sizes.join(', ')}]`];
}

function aliasProblems(result: ArraySpec | undefined, operand: Node | undefined, at: string, from: number): string[] {
  if (!result || !operand) return [`aliases must name a result and an operand, got ${at}: ${from}`];
  if (result.type === operand.type.type && byteSize(result) === byteSize(operand.type)) return [];
  return [
    `result ${at} is ${tensorType(result)} and cannot take the memory of operand ${from}, ${tensorType(operand.type)}`,
  ];
}

/** The types of an entry's parameters in PTX; undefined if there is no such entry. */
function parametersOf(ptx: string, entry: string): string[] | undefined {
  const list = new RegExp(`\\.entry\\s+${entry}\\s*\\(([^)]*)\\)`).exec(ptx)?.[1];
  if (list === undefined)
    return /\.entry\s+\w+\s*\{?/.test(ptx) && new RegExp(`\\.entry\\s+${entry}\\b`).test(ptx) ? [] : undefined;
  return [...list.matchAll(/\.param\s+(?:\.align\s+\d+\s+)?\.(\w+)/g)].map((match) => match[1]!);
}

/** MLIR's string literal: bytes that it does not take as they are become `\` and two hexadecimal digits. */
function literal(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]|["\\]/g, (character) =>
    [...new TextEncoder().encode(character)]
      .map((byte) => `\\${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  )}"`;
}

/** Row-major. */
function layout({ shape }: ArraySpec): string {
  if (shape.length === 0) return 'dense<> : tensor<0xindex>';
  return `dense<[${shape.map((_, axis) => shape.length - 1 - axis).join(', ')}]> : tensor<${shape.length}xindex>`;
}

function attributesOf({
  entry,
  ptx,
  operands,
  results,
  grid,
  block,
  sharedBytes = 0,
  aliases = {},
}: KernelCall): string {
  const sizes = (name: string, values: readonly number[]) =>
    ['x', 'y', 'z'].map((axis, i) => `${name}_${axis} = ${values[i] ?? 1} : i32`).join(', ');
  const aliased = Object.entries(aliases).map(([result, operand]) => {
    const place = results.length > 1 ? result : '';
    return `#stablehlo.output_operand_alias<output_tuple_indices = [${place}], operand_index = ${operand}, operand_tuple_indices = []>`;
  });
  const config = [
    `name = ${literal(entry)}`,
    'kernel_type = "ptx"',
    `kernel_data = ${literal(ptx)}`,
    sizes('grid', grid),
    sizes('block', block),
    `shared_mem_bytes = ${sharedBytes} : i32`,
  ];
  return [
    'call_target_name = "__gpu$xla.gpu.ptx"',
    'backend_config = ""',
    `mhlo.backend_config = {${config.join(', ')}}`,
    `operand_layouts = [${operands.map(({ type }) => layout(type)).join(', ')}]`,
    `result_layouts = [${results.map(layout).join(', ')}]`,
    ...(aliased.length > 0 ? [`output_operand_aliases = [${aliased.join(', ')}]`] : []),
  ].join(', ');
}
