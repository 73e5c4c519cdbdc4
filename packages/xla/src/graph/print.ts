import { type ArraySpec, tensorType } from '../executor.js';
import type { Node } from './node.js';

/**
 * The graph that computes a value, one node on each line, operands first:
 *
 *     %1 = parameter: f32[2, 3]
 *     %2 = tanh(%1): f32[2, 3]
 */
export function describeNode(node: Node): string {
  return inOrder([node], () => false)
    .map(({ id, op, operands, type, index, attributes }) => {
      const name = op.replace(/^stablehlo\./, '') + (index === undefined ? '' : ` ${index}`);
      const inputs = operands.length > 0 ? `(${operands.map((operand) => `%${operand.id}`).join(', ')})` : '';
      const rest = attributes ? ` {${attributes}}` : '';
      return `%${id} = ${name}${inputs}: ${type.type}[${type.shape.join(', ')}]${rest}`;
    })
    .join('\n');
}

/** A program as text, with its arguments and results in order. */
export type Program = { text: string; inputs: ArraySpec[]; outputs: ArraySpec[] };

type ProgramOptions = {
  /** Output number by donated argument number. */
  aliases?: ReadonlyMap<number, number>;
  replicas?: number;
  /** Nodes that count as arguments although they are not parameters. */
  isLeaf?: (node: Node) => boolean;
};

/**
 * The module whose `@main` computes `outputs` from `parameters`, in StableHLO's generic form, which later versions of
 * the dialect still parse.
 */
export function printProgram(
  parameters: readonly Node[],
  outputs: readonly Node[],
  options: ProgramOptions = {},
): Program {
  const { aliases = new Map<number, number>(), replicas = 1, isLeaf = (node) => node.op === 'parameter' } = options;
  const names = new Map<Node, string>();
  const signature = parameters.map((node, index) => {
    names.set(node, `%arg${index}`);
    const alias = aliases.get(index);
    return `%arg${index}: ${tensorType(node.type)}${alias === undefined ? '' : ` {tf.aliasing_output = ${alias} : i32}`}`;
  });
  const lines = inOrder(outputs, isLeaf).flatMap((node) => printNode(node, names));
  const types = outputs.map(({ type }) => tensorType(type)).join(', ');
  const returned = outputs.map((node) => names.get(node)).join(', ');
  const text = [
    `module @program attributes {mhlo.num_replicas = ${replicas} : i32, mhlo.num_partitions = 1 : i32} {`,
    ` func.func public @main(${signature.join(', ')}) -> (${types}) {`,
    ...lines,
    `  "func.return"(${returned}) : (${types}) -> ()`,
    ' }',
    '}',
    '',
  ].join('\n');
  return { text, inputs: parameters.map(({ type }) => type), outputs: outputs.map(({ type }) => type) };
}

/** Everything that `outputs` need, operands first, leaves left out. */
export function inOrder(outputs: readonly Node[], isLeaf: (node: Node) => boolean): Node[] {
  const ordered: Node[] = [];
  const seen = new Set<Node>();
  const stack = [...outputs].reverse().map((node) => ({ node, isDone: false }));
  for (let top = stack.pop(); top; top = stack.pop()) {
    const { node, isDone } = top;
    if (isDone) ordered.push(node);
    else if (!seen.has(node) && !isLeaf(node)) {
      seen.add(node);
      stack.push({ node, isDone: true });
      for (let i = node.operands.length - 1; i >= 0; i--) stack.push({ node: node.operands[i], isDone: false });
    }
  }
  return ordered;
}

function printNode(node: Node, names: Map<Node, string>): string[] {
  const operandNames = node.operands.map((operand) => names.get(operand));
  if (node.op === 'result') {
    names.set(node, `${operandNames[0]}#${node.index}`);
    return [];
  }
  const name = `%${names.size}`;
  names.set(node, name);
  const operandTypes = node.operands.map(({ type }) => tensorType(type)).join(', ');
  const types = node.results ? `(${node.results.map(tensorType).join(', ')})` : tensorType(node.type);
  const left = node.results ? `${name}:${node.results.length}` : name;
  const regions = node.regions && ` (${node.regions})`;
  const attributes = node.attributes && ` {${node.attributes}}`;
  return [
    `  ${left} = "${node.op}"(${operandNames.join(', ')})${regions}${attributes} : (${operandTypes}) -> ${types}`,
  ];
}
