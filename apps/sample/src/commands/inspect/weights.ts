import { stat } from 'node:fs/promises';
import {
  CheckpointTensor,
  fileSha256,
  openCheckpoint,
  openSafetensors,
  PickledObject,
  type SafetensorsFile,
} from '@tb/io';
import { readWeightsInfo, type WeightsInfo } from '@tb/trainer';
import { countElements, type Inspection, type TensorLine, withSeparators } from './listing.js';

/** Metadata that holds JSON is shown as what it describes. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export async function inspectSafetensors(path: string): Promise<Inspection> {
  const file = await openSafetensors(path);
  await file.close();
  const tensors = linesOf(file);
  const details = Object.fromEntries(Object.entries(file.metadata).map(([name, text]) => [name, parsed(text)]));
  const kind =
    'tokenbridge.config' in details
      ? 'weights of a TokenBridge model (safetensors)'
      : 'vae.config' in details
        ? 'weights of an autoencoder (safetensors)'
        : 'safetensors';
  const { sha256, ...info } = await readWeightsInfo(path);
  const facts = { ...(await fileFacts(path, sha256)), ...tensorFacts(tensors), ...originFacts(info) };
  return { kind, facts, tensors, details };
}

/** @param prefix - the prefix of every name */
export function linesOf({ tensors }: SafetensorsFile, prefix = ''): TensorLine[] {
  return Object.entries(tensors).map(([name, { dtype, shape }]) => ({ name: `${prefix}${name}`, dtype, shape }));
}

/** What weights of tb-train state about their data. */
export function originFacts({ classNames, imageSize, vaeSha256 }: WeightsInfo): Record<string, string> {
  return {
    ...(classNames && { classes: `${classNames.length}: ${someOf(classNames)}` }),
    ...(imageSize !== undefined && { images: `${imageSize} × ${imageSize} pixels` }),
    ...(vaeSha256 !== undefined && { 'SHA-256 of the autoencoder': vaeSha256 }),
  };
}

const mostNames = 20;
const someOf = (names: readonly string[]) =>
  names.slice(0, mostNames).join(', ') + (names.length > mostNames ? ', …' : '');

/** A checkpoint of PyTorch: tensors by their path of keys, everything else as details. */
export async function inspectCheckpoint(path: string): Promise<Inspection> {
  const checkpoint = await openCheckpoint(path, { unknownCalls: 'keep' });
  try {
    const tensors: TensorLine[] = [];
    const details: Record<string, unknown> = {};
    walk(checkpoint.value, '', tensors, details);
    return {
      kind: 'checkpoint of PyTorch',
      facts: { ...(await fileFacts(path)), ...tensorFacts(tensors), ...countsByPart(tensors) },
      tensors,
      details,
    };
  } finally {
    await checkpoint.close();
  }
}

/** @param sha256 - where it is known already */
export async function fileFacts(path: string, sha256?: string): Promise<Record<string, string | number>> {
  return { bytes: withSeparators((await stat(path)).size), 'SHA-256': sha256 ?? (await fileSha256(path)) };
}

function tensorFacts(tensors: readonly TensorLine[]): Record<string, string> {
  return { tensors: withSeparators(tensors.length), numbers: withSeparators(countElements(tensors)) };
}

/** An official checkpoint holds weights, their average and the optimizer's state side by side. */
function countsByPart(tensors: readonly TensorLine[]): Record<string, string> {
  const parts = [...new Set(tensors.map(({ name }) => name.split('.')[0]))];
  if (parts.length > 8) return {};
  const ofPart = (part: string) => tensors.filter(({ name }) => name.split('.')[0] === part);
  return Object.fromEntries(parts.map((part) => [`numbers in ${part}`, withSeparators(countElements(ofPart(part)))]));
}

function walk(value: unknown, name: string, tensors: TensorLine[], details: Record<string, unknown>): void {
  const join = (key: unknown) => (name === '' ? String(key) : `${name}.${key}`);
  if (value instanceof CheckpointTensor) tensors.push({ name, dtype: value.dtype, shape: value.shape });
  else if (value instanceof Map || Array.isArray(value)) {
    for (const [key, child] of value.entries()) walk(child, join(key), tensors, details);
  } else if (value instanceof PickledObject) walk(value.state, join(`(${value.className})`), tensors, details);
  else if (isPlainRecord(value)) {
    for (const [key, child] of Object.entries(value)) walk(child, join(key), tensors, details);
  } else details[name] = typeof value === 'bigint' ? String(value) : value;
}

/** Dicts become records without a prototype; instances of classes are values. */
function isPlainRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === null;
}
