import { stat } from 'node:fs/promises';
import {
  CheckpointTensor,
  fileSha256,
  openCheckpoint,
  openSafetensors,
  PickledGlobal,
  PickledObject,
  type SafetensorsFile,
} from '@tb/io';
import { isMar, modelConfigKey } from '@tb/tokenbridge';
import { readWeightsInfo, type WeightsInfo } from '@tb/trainer';
import { vaeConfigKey } from '@tb/vae';
import { countElements, type Inspection, type TensorLine, withSeparators } from './listing.js';

const longestMetadata = 2 ** 16;
const deepestMetadata = 32;

/** Metadata that holds JSON is shown as what it describes, unless it is larger or more deeply nested than descriptions are. */
function parsed(text: string): unknown {
  if (text.length > longestMetadata) return `${withSeparators(text.length)} characters: ${text.slice(0, 80)}…`;
  try {
    const value: unknown = JSON.parse(text);
    return isDeeper(value, deepestMetadata) ? text : value;
  } catch {
    return text;
  }
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((inside) => isDeeper(inside, levels - 1));
}

export async function inspectSafetensors(path: string): Promise<Inspection> {
  const file = await openSafetensors(path);
  await file.close();
  const tensors = linesOf(file);
  const details = Object.fromEntries(Object.entries(file.metadata).map(([name, text]) => [name, parsed(text)]));
  const { sha256, ...info } = await readWeightsInfo(path);
  const network = info.modelConfig && isMar(info.modelConfig) ? 'MAR' : 'TokenBridge';
  const kind =
    modelConfigKey in details
      ? `weights of a ${network} model (safetensors)`
      : vaeConfigKey in details
        ? 'weights of an autoencoder (safetensors)'
        : 'safetensors';
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
    const { tensors, details, count } = listContents(checkpoint.value);
    return {
      kind: 'checkpoint of PyTorch',
      facts: {
        ...(await fileFacts(path)),
        ...tensorFacts(tensors),
        ...countsByPart(tensors),
        ...(count > mostDetails && { 'other values': `${withSeparators(count)}, of which ${mostDetails} are listed` }),
        ...(!checkpoint.hasChecksums && { 'not checked': 'the tensors: the file holds no checksums of them' }),
      },
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

type Contents = {
  tensors: TensorLine[];
  /** Other values by their path of keys: numbers, texts and what describes the rest. */
  details: Record<string, unknown>;
  /** Number of other values, of which the first are listed. */
  count: number;
  seen: Set<object>;
};

const mostDetails = 1000;
const longestText = 1000;

/** Lists what a checkpoint holds. What is in several places is listed at the first, so that shared values do not multiply. */
function listContents(root: unknown): Contents {
  const contents: Contents = { tensors: [], details: {}, count: 0, seen: new Set() };
  walk(root, '', contents);
  return contents;
}

function walk(value: unknown, name: string, contents: Contents): void {
  if (typeof value !== 'object' || value === null) {
    addDetail(value, name, contents);
    return;
  }
  if (contents.seen.has(value)) return;
  contents.seen.add(value);
  const inside = (key: unknown) => (name === '' ? labelOf(key) : `${name}.${labelOf(key)}`);
  if (isTensor(value)) contents.tensors.push({ name, dtype: value.dtype, shape: value.shape });
  else if (value instanceof Uint8Array) addDetail(`${withSeparators(value.length)} bytes`, name, contents);
  else if (value instanceof PickledGlobal) addDetail(value.name, name, contents);
  else if (value instanceof PickledObject) walkObject(value, inside(`(${value.className})`), contents);
  else {
    const entries = value instanceof Map || Array.isArray(value) || value instanceof Set ? value.entries() : undefined;
    for (const [key, child] of entries ?? Object.entries(value)) walk(child, inside(key), contents);
  }
}

function walkObject(object: PickledObject, name: string, contents: Contents): void {
  const { state, items, entries, constructorArguments } = object;
  walk(state, name, contents);
  if (constructorArguments.length > 0) walk(constructorArguments, name, contents);
  if (items.length > 0) walk(items, name, contents);
  if (entries.size > 0) walk(entries, name, contents);
}

function addDetail(value: unknown, name: string, contents: Contents): void {
  contents.count++;
  if (contents.count <= mostDetails) contents.details[name] = shown(value);
}

/** A value that JSON can hold. */
function shown(value: unknown): unknown {
  if (typeof value === 'string') return value.length > longestText ? `${value.slice(0, longestText)}…` : value;
  if (typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value))) return String(value);
  return value;
}

/** A key of a dict in a name. Tuples and objects are named by their kind. */
function labelOf(key: unknown): string {
  if (typeof key === 'string') return key.length > longestText ? `${key.slice(0, longestText)}…` : key;
  if (typeof key !== 'object' || key === null) return String(key);
  return key instanceof PickledObject ? `(${key.className})` : Array.isArray(key) ? '(tuple)' : '(object)';
}

/** A tensor of PyTorch or an array of NumPy. */
function isTensor(value: object): value is TensorLine {
  return value instanceof CheckpointTensor || ('dtype' in value && 'data' in value && ArrayBuffer.isView(value.data));
}
