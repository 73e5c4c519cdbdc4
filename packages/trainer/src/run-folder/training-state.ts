// The tensors of a checkpoint, for training to continue with.
import { join } from 'node:path';
import { type HostTensor, readSafetensors, toFloat32 } from '@tb/io';
import { disposeTree, type Tree, unflattenTree } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { TrainState } from '../train-step.js';
import { checkpointFiles } from './layout.js';
import { type Checkpoint, DamagedCheckpointError, firstIntact, listCheckpoints, readCheckpoint } from './open-run.js';

/** Shapes of parameters by their dotted names. */
export type ParameterShapes = Readonly<Record<string, readonly number[]>>;

/** A checkpoint with the training state that was loaded from it. */
export type LoadedState = Checkpoint & { state: TrainState };

/** Options of `loadNewestState`. */
export type LoadStateOptions = {
  /** Of the parameters, by dotted name; without them any will do. */
  shapes?: ParameterShapes;
  /** Called before tensors are loaded; throws to refuse the checkpoint and with it the run. */
  check?: (checkpoint: Omit<Checkpoint, 'damaged'>) => void;
};

/**
 * Loads the newest intact checkpoint of a run. The caller owns its tensors.
 *
 * @returns undefined when the run has no checkpoints
 * @throws Error when all checkpoints are damaged, or the parameters have other shapes; what `check` throws
 */
export async function loadNewestState(
  run: string,
  { shapes, check }: LoadStateOptions = {},
): Promise<LoadedState | undefined> {
  const newest = await firstIntact(await listCheckpoints(run), (folder) => loadStateOf(folder, { shapes, check }));
  return newest && { ...newest.found, damaged: newest.damaged };
}

/** Loads one checkpoint. The caller owns its tensors. @throws DamagedCheckpointError; otherwise as `loadNewestState` */
export async function loadStateOf(
  folder: string,
  { shapes, check }: LoadStateOptions,
): Promise<Omit<LoadedState, 'damaged'>> {
  const checkpoint = await readCheckpoint(folder);
  check?.(checkpoint);
  return { ...checkpoint, state: await loadState(folder, shapes) };
}

/** Reads one file after the other, so that the host holds one of them at a time. */
async function loadState(folder: string, shapes: ParameterShapes | undefined): Promise<TrainState> {
  const made: Tree<tf.Tensor>[] = [];
  let parameters: DescribedTensors = {};
  const load = async (file: string, expected: () => DescribedTensors): Promise<Tree<tf.Tensor>> => {
    const tensors = await read(folder, file);
    if (file === checkpointFiles.model) {
      if (shapes) assertSameShapes(shapes, tensors, folder);
      parameters = describe(tensors);
    }
    assertTensors(folder, file, describe(tensors), expected());
    const tree = treeOf(tensors);
    made.push(tree);
    return tree;
  };
  try {
    return {
      params: await load(checkpointFiles.model, () => mapValues(parameters, inFloat32)),
      ema: await load(checkpointFiles.ema, () => parameters),
      optimizer: await load(checkpointFiles.optimizer, () => ({
        step: 'F32 []',
        ...prefixed('firstMoment.', parameters),
        ...prefixed('secondMoment.', parameters),
      })),
    } as TrainState;
  } catch (error) {
    disposeTree(made);
    throw error;
  }
}

async function read(folder: string, file: string): Promise<HostTensors> {
  try {
    return (await readSafetensors(join(folder, file))).tensors;
  } catch (error) {
    throw new DamagedCheckpointError((error as Error).message);
  }
}

type HostTensors = Record<string, HostTensor>;

/** Type and shape of tensors by name, such as `F32 [3, 4]`. */
type DescribedTensors = Record<string, string>;

const describe = (tensors: HostTensors): DescribedTensors =>
  mapValues(tensors, ({ dtype, shape }) => `${dtype} [${shape.join(', ')}]`);

const inFloat32 = (description: string) => description.replace(/^\w+/, 'F32');

const prefixed = (prefix: string, tensors: DescribedTensors): DescribedTensors =>
  Object.fromEntries(Object.entries(tensors).map(([name, description]) => [prefix + name, description]));

const mapValues = <From, To>(record: Record<string, From>, change: (value: From) => To): Record<string, To> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]));

/** The average and the moments of the optimizer must be those of the parameters. */
function assertTensors(folder: string, file: string, found: DescribedTensors, expected: DescribedTensors): void {
  const wrong = Object.keys({ ...expected, ...found }).find((name) => found[name] !== expected[name]);
  if (wrong === undefined) return;
  throw new DamagedCheckpointError(
    `${join(folder, file)} does not fit the other files: ${wrong} must be ${expected[wrong] ?? 'absent'}, got ${found[wrong] ?? 'none'}`,
  );
}

function assertSameShapes(shapes: ParameterShapes, model: HostTensors, folder: string): void {
  const text = (shape: readonly number[] | undefined) => (shape ? `[${shape.join(', ')}]` : 'absent');
  const names = Object.keys({ ...shapes, ...model });
  const wrong = names.find((name) => text(shapes[name]) !== text(model[name]?.shape));
  if (wrong === undefined) return;
  throw new Error(
    `checkpoint ${folder} is of a model of other sizes, which a resumed run cannot change: ${wrong} must be ` +
      `${text(shapes[wrong])}, got ${text(model[wrong]?.shape)}`,
  );
}

/** Makes float32 tensors, in the tree that the dotted names describe. When it throws, none is left. */
function treeOf(tensors: HostTensors): Tree<tf.Tensor> {
  const made: Record<string, tf.Tensor> = Object.create(null);
  try {
    for (const [name, tensor] of Object.entries(tensors)) {
      made[name] = tf.tensor(toFloat32(tensor), tensor.shape, 'float32');
    }
    return unflattenTree(made);
  } catch (error) {
    tf.dispose(Object.values(made));
    throw error;
  }
}
