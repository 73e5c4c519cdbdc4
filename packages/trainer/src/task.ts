// What training needs to know: the task, and how it is trained.
import type { Pixels } from '@tb/images';
import type { HostRandom, Progress as JobProgress, Key, TensorTree } from '@tb/runtime';
import type { BatchShare } from './data/batch-share.js';
import type { BatchSource } from './data/batches.js';
import type { ScheduleOptions } from './optimizer/schedule.js';
import type { Checkpoint } from './run-folder/open-run.js';
import type { Progress } from './run-folder/progress.js';
import type { ParameterShapes } from './run-folder/training-state.js';
import type { LossResult, TrainStepOptions } from './train-step.js';

/**
 * A model to train and the data to train it on: everything that the training loop does not know.
 *
 * `Batch` is what the data source gives, in host memory; `Tensors` is what `toTensors` makes of it for the loss. Write a
 * task with all four types, so that its members are checked against one another, and pass it on as `Task<Params, Batch>`:
 * nobody but the task's own members handles its tensors and constants.
 */
export type Task<
  Params extends TensorTree = TensorTree,
  Batch = unknown,
  Tensors extends TensorTree = TensorTree,
  Constants extends TensorTree = TensorTree,
> = {
  /** New parameters, from a random key or from a file. */
  init(key: Key): Promise<Params> | Params;
  /**
   * Tensors that the loss reads and training does not change, such as an autoencoder's weights. They are an argument of
   * the compiled step, with a copy on each device. If the loss took them from its surroundings instead, `jit` would make
   * them part of the compiled program.
   */
  constants: Constants;
  /** What is minimized; see `LossFunction`. */
  loss(params: Params, constants: Constants, batch: Tensors, key: Key): LossResult;
  /**
   * Opens the data at the batch of step `firstStep`. A function, since that step is known only after a checkpoint was
   * found, and changes when the run rolls back.
   *
   * @param share - what this process reads of each batch
   */
  openBatches(firstStep: number, share?: BatchShare): BatchSource<Batch>;
  /**
   * The first axis of every tensor counts the images: the batch is cut along it, for several devices or micro-batches.
   *
   * @param random - the step's own random numbers, for what is drawn on the host, such as masks. The same in all
   *   processes: draw for the complete batch, then take this process's rows with `takeRows`
   * @param share - what `batch` is of the complete batch; default all
   * @param images - of the complete batch
   */
  toTensors(batch: Batch, random: HostRandom, share?: BatchShare, images?: number): Tensors;
  /**
   * Tensors of all shapes that `toTensors` returns for a batch of so many images; values do not matter. Where the backend
   * compiles each shape, their programs are made ready ahead of need, in this order.
   *
   * @param random - that of the first step to come, whose shapes should be first
   */
  examples?(images: number, random: HostRandom): Tensors[];
  /**
   * Makes the programs of `validate` ready ahead of need. Called where the backend compiles.
   *
   * @param ema - the averaged parameters at that moment: each step replaces them
   * @param signal - aborted when the run ends and needs them no more
   */
  prepare?(ema: () => Params, signal: AbortSignal): Promise<void>;
  /** Numbers about the averaged parameters on data that training does not see. */
  validate?(ema: Params): Promise<Record<string, number>>;
  /** An image that shows what the averaged parameters can do. */
  draw?(ema: Params): Promise<Pixels>;
};

/** How a task is trained: length, schedule, optimizer, checkpoints and validation. */
export type TrainOptions = TrainStepOptions & {
  steps: number;
  seed: number;
  /** In steps. */
  schedule: ScheduleOptions;
  /** Folder of the run; checkpoints are in `checkpoints` below it. */
  out: string;
  /** Continue from the newest checkpoint. */
  resume: boolean;
  /** Steps between checkpoints; the last step writes one too. */
  checkpointEvery: number;
  /** How many of the newest checkpoints stay. */
  keepCheckpoints: number;
  /** Steps between validations. */
  validateEvery: number;
  /** Steps between drawn images. */
  drawEvery: number;
  /** How many times to roll back to the last checkpoint after a loss that is not finite. */
  nanRetries: number;
  /** Steps whose losses may still be on their way from the device; 0 reads each at once. */
  lossDelay: number;
  /** Whether training continues while a checkpoint is written, for which the host holds a copy of the state. */
  saveInBackground?: boolean;
  /** Stored in every checkpoint. */
  config: Record<string, unknown>;
  /** Stored in every checkpoint: the images that the run is trained on (see `describeImages`). */
  data?: Progress['data'];
  /**
   * Called before each step, and before what takes longer, with the time until the next call: so that others see a process
   * that hangs.
   */
  onProgress?: (progress: JobProgress) => void;
  /** Called with the checkpoint that a resumed run continues from, before its tensors are loaded; throws to refuse it. */
  onResume?: (checkpoint: Omit<Checkpoint, 'damaged'>) => void;
  /** Metadata of the weights in every checkpoint (see `describeWeights`). */
  metadata?: Record<string, string>;
  /** Shapes that the parameters of a checkpoint must have, by dotted name. */
  shapes?: ParameterShapes;
};
