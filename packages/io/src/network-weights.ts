import { type ByteInput, nameOf } from './byte-source.js';
import { type Checkpoint, openCheckpoint } from './checkpoint.js';
import { type CheckpointValue, isRecord } from './checkpoint-values.js';
import { FileFormatError } from './file-format-error.js';
import type { HostTensor } from './host-tensor.js';
import { InputError } from './input-error.js';
import { CheckpointTensor, PickledObject } from './pickle-values.js';
import { listed, quoted } from './printable.js';
import { isSafetensors, openSafetensors, type SafetensorsFile } from './safetensors-reader.js';

/** The weights of one network in an open file: their names and shapes are in memory, tensors are read when asked for. */
export type NetworkWeights = {
  /** Type and shape of every weight, by its name without prefixes, in a record with a null prototype. */
  readonly tensors: Readonly<Record<string, { dtype: string; shape: number[] }>>;
  /** The strings in the header of a safetensors file; empty for a checkpoint. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The part of a checkpoint in which they are, `model` for instance; empty where it is the checkpoint itself. */
  readonly part: string;
  /** What was removed before the names, `module.` for instance; mostly empty. */
  readonly prefix: string;
  /**
   * Reads weights.
   *
   * @param names - default: all
   * @returns the tensors by name, in a record with a null prototype
   * @throws FileFormatError when one of them is damaged or of a type that cannot be read
   */
  read(names?: readonly string[]): Promise<Record<string, HostTensor>>;
  /** The weights of the same network in another part of the checkpoint; undefined where there is none. */
  inPart(part: string): NetworkWeights | undefined;
  close(): Promise<void>;
};

/** Options of `openWeights`. */
export type OpenWeightsOptions = {
  /** The name of a weight that the network has: weights are looked for where it is, with or without prefixes. */
  anchor: string;
  /** The part of a checkpoint to take, `model_ema` for instance. Default: the first that holds the anchor. */
  part?: string;
};

/** A part that a checkpoint was asked for is missing, or `None`. */
export class MissingPartError extends InputError {
  constructor(
    file: string,
    /** The name of the part. */
    readonly part: string,
    what: string,
  ) {
    super('openWeights', `${file} ${what}`);
  }
}

/**
 * Opens the weights of one network: a safetensors file, or a checkpoint of PyTorch in which they are the checkpoint itself or
 * one of its parts (`model` and `state_dict` are tried first). Harmless prefixes of the names are removed: those of wrappers
 * (`module.`, `_orig_mod.`) and of the models that the network is a part of (`model.`, `first_stage_model.`), whose other
 * weights are left out. Where the anchor is nowhere, the weights are returned as they are, so that the caller can report what
 * is there instead.
 *
 * @throws MissingPartError when the part that is asked for is missing or `None`; InputError when there are no weights by
 *   their names; FileFormatError when the file is damaged
 */
export async function openWeights(input: ByteInput, { anchor, part }: OpenWeightsOptions): Promise<NetworkWeights> {
  const file = isSafetensors(input) ? await openSafetensors(input) : await openCheckpoint(input);
  try {
    if (!('value' in file)) return weightsOfFile(file, anchor);
    const { value } = file;
    const found = part === undefined ? findPart(nameOf(input), value, anchor) : requirePart(nameOf(input), value, part);
    return weightsOfCheckpoint(nameOf(input), file, anchor, found);
  } catch (error) {
    await file.close();
    throw error;
  }
}

function weightsOfFile(file: SafetensorsFile, anchor: string): NetworkWeights {
  const { weights, names, prefix } = withoutPrefix(file.tensors, anchor);
  return {
    tensors: weights,
    metadata: file.metadata,
    part: '',
    prefix,
    read: (chosen = Object.keys(weights)) => readEach(chosen, (name) => file.read(names[name] ?? name)),
    inPart: () => undefined,
    close: () => file.close(),
  };
}

type StateDict = Record<string, CheckpointTensor>;

type Part = { stateDict: StateDict; part: string };

function weightsOfCheckpoint(
  file: string,
  checkpoint: Checkpoint,
  anchor: string,
  { stateDict, part }: Part,
): NetworkWeights {
  const { weights, prefix } = withoutPrefix(stateDict, anchor);
  const read = async (name: string) => {
    const tensor = weights[name];
    if (tensor === undefined) throw new Error(`${file}: no weight is named ${quoted(name)}`);
    if (tensor.unreadable === undefined) return tensor.read();
    throw new FileFormatError(file, undefined, `tensor ${quoted(name)} ${tensor.unreadable}`, { sound: true });
  };
  return {
    tensors: weights,
    metadata: {},
    part,
    prefix,
    read: (chosen = Object.keys(weights)) => readEach(chosen, read),
    inPart: (other) => {
      const value = isRecord(checkpoint.value) ? checkpoint.value[other] : undefined;
      if (!isRecord(value)) return undefined;
      return weightsOfCheckpoint(file, checkpoint, anchor, { stateDict: tensorsOf(value), part: other });
    },
    close: () => checkpoint.close(),
  };
}

async function readEach(
  names: readonly string[],
  read: (name: string) => Promise<HostTensor>,
): Promise<Record<string, HostTensor>> {
  const tensors: Record<string, HostTensor> = Object.create(null);
  for (const name of names) tensors[name] = await read(name);
  return tensors;
}

/** Parts that hold the weights of a network in most checkpoints. */
const likelyParts = ['model', 'state_dict'];

function findPart(file: string, value: CheckpointValue<CheckpointTensor>, anchor: string): Part {
  const root = isRecord(value) ? value : {};
  const names = Object.keys(root).filter((name) => isRecord(root[name]));
  const likely = likelyParts.filter((name) => names.includes(name));
  const parts = [...likely, '', ...names.filter((name) => !likely.includes(name))].map((part) => ({
    part,
    stateDict: tensorsOf(part === '' ? root : root[part]!),
  }));
  const withAnchor = parts.find(({ stateDict }) => prefixOf(Object.keys(stateDict), anchor) !== undefined);
  const found = withAnchor ?? parts.find(({ stateDict }) => Object.keys(stateDict).length > 0);
  if (found !== undefined) return found;
  const objects = [value, ...likelyParts.map((name) => root[name])].filter((part) => part instanceof PickledObject);
  throw new InputError('openWeights', `${file} holds no weights by their names${whatIs(objects[0])}`);
}

/** What to save in place of a module, as the end of a sentence. */
function whatIs(value: unknown): string {
  if (!(value instanceof PickledObject)) return '';
  return `, but an object of the class ${listed([value.className])}: save its state_dict() instead`;
}

function requirePart(file: string, checkpoint: CheckpointValue<CheckpointTensor>, part: string): Part {
  const root = isRecord(checkpoint) ? checkpoint : {};
  const value = root[part];
  if (value === undefined) throw new MissingPartError(file, part, `has no part named ${quoted(part)}`);
  if (value === null) throw new MissingPartError(file, part, `has no weights in ${quoted(part)}: it is None`);
  const stateDict = tensorsOf(value);
  if (Object.keys(stateDict).length > 0) return { stateDict, part };
  throw new InputError('openWeights', `${file} holds no weights by their names in ${quoted(part)}${whatIs(value)}`);
}

/** The tensors of a dict; what else is in it does not matter. */
function tensorsOf(value: CheckpointValue<CheckpointTensor>): StateDict {
  const tensors: StateDict = Object.create(null);
  if (!isRecord(value)) return tensors;
  for (const [name, tensor] of Object.entries(value)) if (tensor instanceof CheckpointTensor) tensors[name] = tensor;
  return tensors;
}

/** Before names that `torch.compile` changed, of the network or of a part of it. */
const COMPILED = /(^|\.)_orig_mod\./g;

const HARMLESS = /^(?:(?:module|model|first_stage_model)\.)+$/;

/** Weights without the prefix of their names, with the names in the file. */
function withoutPrefix<T>(stateDict: Readonly<Record<string, T>>, anchor: string) {
  const prefix = prefixOf(Object.keys(stateDict), anchor) ?? '';
  const isPart = /(^|\.)(model|first_stage_model)\.$/.test(prefix); // then the others belong to other networks
  const weights: Record<string, T> = Object.create(null);
  const names: Record<string, string> = Object.create(null);
  let compiled = false;
  for (const [fullName, weight] of Object.entries(stateDict)) {
    const cleaned = fullName.replace(COMPILED, '$1');
    const isInside = cleaned.startsWith(prefix);
    if (isPart && !isInside) continue;
    const name = isInside ? cleaned.slice(prefix.length) : cleaned;
    if (name in weights) throw new Error(`two weights are named ${quoted(name)} without their prefixes`);
    compiled ||= cleaned !== fullName;
    weights[name] = weight;
    names[name] = fullName;
  }
  return { weights, names, prefix: (compiled ? '_orig_mod.' : '') + prefix };
}

/** The prefix with which the anchor is among the names; of several the shortest. */
function prefixOf(names: readonly string[], anchor: string): string | undefined {
  const prefixes = names
    .map((name) => name.replace(COMPILED, '$1'))
    .filter((name) => name === anchor || name.endsWith(`.${anchor}`))
    .map((name) => name.slice(0, name.length - anchor.length))
    .filter((prefix) => prefix === '' || HARMLESS.test(prefix));
  return prefixes.sort((a, b) => a.length - b.length)[0];
}
