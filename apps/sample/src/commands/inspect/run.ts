import { open, stat } from 'node:fs/promises';
import { assertExists, textTable, UsageError } from '@tb/command-line';
import { printable } from '@tb/io';
import { inspectFolder } from './folders.js';
import type { CacheOptions } from './latent-cache.js';
import { elements, type Inspection, type TensorLine, withSeparators } from './listing.js';
import type { InspectValues } from './options.js';
import { inspectCodes, inspectImage, inspectNumpy } from './other-files.js';
import { inspectCheckpoint, inspectSafetensors } from './weights.js';

/** `tb-sample inspect`. */
export async function inspect(path: string, values: InspectValues): Promise<void> {
  assertExists('path', path);
  const { tensors, ...rest } = await inspectPath(path, values);
  const inspection = values.tensors && tensors ? { ...rest, tensors } : rest;
  console.log(values.json ? jsonText({ path, ...inspection }) : inspectionText(path, inspection));
}

async function inspectPath(path: string, options: CacheOptions): Promise<Inspection> {
  if ((await stat(path)).isDirectory()) return inspectFolder(path, options);
  if (path.endsWith('.safetensors')) return inspectSafetensors(path);
  if (/\.np[yz]$/.test(path)) return inspectNumpy(path);
  const start = await firstBytes(path);
  if (start.startsWith('TBQC')) return inspectCodes(path);
  if (start.startsWith('\x89PNG')) return inspectImage(path);
  if (start.startsWith('PK') || /\.(pth?|ckpt|bin)$/.test(path)) return inspectCheckpoint(path);
  throw new UsageError(
    `${path} is not of a kind that inspect reads: .safetensors, .pth, .ckpt, .npy, .npz, code files and images of tb-sample`,
  );
}

async function firstBytes(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(8), 0, 8, 0);
    return buffer.toString('latin1', 0, bytesRead);
  } finally {
    await file.close();
  }
}

function inspectionText(path: string, { kind, facts, tensors, tables = [], details }: Inspection): string {
  const width = Math.max(...Object.keys(facts).map((name) => name.length));
  const lines = Object.entries(facts).map(([name, value]) => printable(`${name.padEnd(width)}  ${value}`));
  const pieces = [printable(`${path}: ${kind}`), lines.join('\n')];
  if (tensors) pieces.push(tensorTable(tensors));
  for (const { title, header, rows } of tables) pieces.push(`${title}\n${textTable(header, rows)}`);
  if (details && Object.keys(details).length > 0) pieces.push(jsonText(details));
  return pieces.join('\n\n');
}

/** JSON in which characters that steer a terminal are escaped, as JSON itself allows. */
const jsonText = (value: object) => JSON.stringify(value, null, 2).split('\n').map(printable).join('\n');

function tensorTable(tensors: readonly TensorLine[]): string {
  const row = ({ name, dtype, shape }: TensorLine) => [
    name,
    dtype,
    `[${shape.join(', ')}]`,
    withSeparators(elements(shape)),
  ];
  return textTable(['tensor', 'type', 'shape', 'numbers'], tensors.map(row));
}
