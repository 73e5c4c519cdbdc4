// The options of one training run, whatever it trains, and how they are resolved.
import {
  backendOptions,
  type ClusterValues,
  checkValues,
  choice,
  clusterOptions,
  defaultsOf,
  detectCluster,
  grouped,
  integer,
  merge,
  number,
  type Options,
  type Overrides,
  omit,
  resolve,
  text,
  toggle,
  UsageError,
  type Values,
} from '@tb/command-line';
import type { JoinedProcesses } from '@tb/runtime';
import { configOption, nameOfCommand, readConfig } from './files.js';
import { imageOptions } from './images.js';

/** Options of training itself. The optimizer's defaults are those of the paper's Table 4. */
const ownOptions = grouped('Training', {
  config: configOption,
  out: text('run folder', { placeholder: 'folder', default: 'runs/model' }),
  resume: toggle('continue the run in --out from its newest checkpoint', { default: false }),
  resumeOrStart: toggle(
    'as --resume if --out holds a checkpoint, else start a run: one command for a job that may be repeated',
    {
      default: false,
    },
  ),
  seed: integer('seed of all random numbers', { default: 0 }),
  steps: integer('length of the run in updates', { min: 1, default: 2000 }),
  epochs: number('length of the run in epochs, instead of --steps', { min: 0 }),
  batch: integer('images per update', { min: 1, max: 65536, default: 64 }),
  microBatch: integer('images that a device processes at once; gradients of a batch are added up', {
    min: 1,
    defaultText: 'the complete batch on xla, else 8',
  }),
  devices: integer('GPUs of each process that share each batch (backend xla)', { min: 1, default: 1 }),
  learningRate: number('peak learning rate', { min: 0, defaultText: '--base-learning-rate × batch / 256' }),
  baseLearningRate: number('peak learning rate for 256 images per update', { min: 0, default: 1e-3 }),
  schedule: choice('learning rate after the warm-up', ['cosine', 'constant'], { default: 'cosine' }),
  minimumLearningRate: number('learning rate at the end of the cosine', { min: 0, default: 0 }),
  warmupSteps: integer('updates in which the learning rate rises to its peak', { default: 200 }),
  warmupEpochs: number('length of the warm-up in epochs, instead of --warmup-steps', { min: 0 }),
  weightDecay: number('decoupled weight decay of all parameters that are not one-dimensional', {
    min: 0,
    default: 0.02,
  }),
  beta1: number('AdamW beta1', { min: 0, max: 0.999999, default: 0.9 }),
  beta2: number('AdamW beta2', { min: 0, max: 0.999999, default: 0.95 }),
  clip: number('largest norm of the gradients', { min: 0, default: 1 }),
  ema: number('rate of the moving average of the weights', { min: 0, max: 1, default: 0.999 }),
  checkpointEvery: integer('updates between checkpoints', { min: 1, default: 1000 }),
  keepCheckpoints: integer('checkpoints to keep', { min: 1, default: 3 }),
  validateEvery: integer('updates between validations', { min: 1, default: 1000 }),
  validationImages: integer('images to validate on', { min: 1, default: 256 }),
  drawEvery: integer('updates between sample images and reports', { min: 1, default: 1000 }),
  nanRetries: integer('returns to the last checkpoint after a loss that is NaN or infinite', { default: 2 }),
  half: toggle('write the final weights in half precision', { default: false }),
});

/** Options of every command that trains. Commands add options and change defaults. */
export const trainingOptions = { ...imageOptions, ...ownOptions, ...clusterOptions, ...backendOptions };

/** How long a run or its warm-up lasts. */
export type Length = { steps: number } | { epochs: number };

/** The peak learning rate: given directly, or for 256 images per update. */
export type PeakRate = { learningRate: number } | { baseLearningRate: number };

/** Options that set the same thing in two ways, resolved to one. */
type Alternatives = { length: Length; warmup: Length; peak: PeakRate };
type AlternativeOption = 'steps' | 'epochs' | 'warmupSteps' | 'warmupEpochs' | 'learningRate' | 'baseLearningRate';

/** All values of a training run. */
export type TrainingValues<Table extends Options = typeof trainingOptions> = Omit<Values<Table>, AlternativeOption> &
  Alternatives;

type Source<Table extends Options> = Omit<Overrides<Table>, AlternativeOption> & Partial<Alternatives>;

/**
 * Resolves the values of a run, from the lowest priority to the highest: the table's defaults, the preset, the options that a
 * run to be resumed was started with, the configuration file, the flags.
 *
 * A process of a job joins the others first, since all of them continue the run that process 0 sees.
 *
 * @param presets - by the names of --preset
 * @throws UsageError when a file or a stored run cannot be used, or options exclude each other
 */
export async function resolveTraining<Table extends Options>(
  command: string,
  table: Table,
  flags: Overrides<Table>,
  presets: Readonly<Record<string, Overrides<Table>>> = {},
): Promise<{
  values: TrainingValues<Table>;
  /** What the configuration file and the flags set, the flags last. */
  given: readonly Overrides<Table>[];
  /** The processes that train together, if there are several. */
  group?: JoinedProcesses;
}> {
  const { config } = flags as { config?: string };
  const file = config === undefined ? {} : await readConfig(table, config, command);
  const asked = resolve(table, file, flags) as {
    resume?: boolean;
    resumeOrStart?: boolean;
    out: string;
  } & ClusterValues;
  const { out } = asked;
  const group = await joinOthers(asked);
  const { resume, stored } = await decideOnce(group, async () => {
    const isResumed = asked.resume || (asked.resumeOrStart && (await hasCheckpoints(out)));
    return { resume: isResumed, stored: isResumed ? await readStoredOptions(command, table, out) : {} };
  });
  const { preset } = resolve(table, stored, file, flags) as { preset?: string };
  const sources = [defaultsOf(table), presets[preset ?? ''] ?? {}, stored, file, flags] as Overrides<Table>[];
  const values = merge<object>(...sources.map((source) => unite(source)), { resume }) as TrainingValues<Table>;
  assertOneStart([file, flags]);
  // The first start of a job that may be repeated began with these weights.
  if (resume && asked.resumeOrStart) delete (values as { initial?: string }).initial;
  return { values, given: [file, flags], ...(group && { group }) };
}

/** Joins the other processes of a job. What that needs is not loaded for a process that works alone. */
async function joinOthers(values: ClusterValues): Promise<JoinedProcesses | undefined> {
  if (!detectCluster(values, process.env)) return undefined;
  const { joinCluster } = await import('@tb/command-line/compute');
  return joinCluster(values);
}

/** What process 0 decides by its run folder, in all processes. */
async function decideOnce<T>(group: JoinedProcesses | undefined, decide: () => Promise<T>): Promise<T> {
  if (!group) return decide();
  const { fromFirstProcess } = await import('@tb/runtime');
  return fromFirstProcess(group, 'options', decide, { timeoutMs: 10 * 60_000 });
}

async function hasCheckpoints(out: string): Promise<boolean> {
  const { openRun } = await import('@tb/trainer'); // not loaded for --help
  return openRun(out).hasCheckpoints();
}

async function readStoredOptions<Table extends Options>(
  command: string,
  table: Table,
  out: string,
): Promise<Overrides<Table>> {
  const { openRun } = await import('@tb/trainer'); // not loaded for --help
  const run = openRun(out);
  if (run.isCheckpoint)
    throw new UsageError(`--out ${out} is a checkpoint: --resume needs its run folder, --out ${run.folder}`);
  const checkpoint = await run.newestCheckpoint();
  if (!checkpoint)
    throw new UsageError(
      `--resume: ${out} holds no checkpoint; name the run folder with --out, or leave --resume out to start a new run`,
    );
  const { command: startedBy, ...options } = checkpoint.progress.config;
  if (startedBy !== command)
    throw new UsageError(
      `--out ${out} holds a run of tb-train ${nameOfCommand(startedBy)}, which tb-train ${command} cannot resume`,
    );
  return checkValues(table, options, `the checkpoint in ${out}`);
}

/** @throws UsageError when one source sets --resume and --initial: a resumed run has its weights */
export function assertOneStart(given: readonly { resume?: boolean; initial?: string }[]): void {
  if (given.some(({ resume, initial }) => resume && initial !== undefined))
    throw new UsageError('--initial does nothing with --resume: a resumed run has its weights. Leave one of them out');
}

/**
 * Replaces options that set the same thing in two ways by one value, so that either of them overrides both of a weaker source.
 * If one source sets both, the first counts.
 */
function unite<Table extends Options>(source: Overrides<Table>): Source<Table> {
  const { steps, epochs, warmupSteps, warmupEpochs, learningRate, baseLearningRate, ...rest } = source as Overrides<
    typeof trainingOptions
  >;
  const lengthOf = (inSteps?: number, inEpochs?: number): Length | undefined =>
    inSteps !== undefined ? { steps: inSteps } : inEpochs !== undefined ? { epochs: inEpochs } : undefined;
  const peakOf = (): PeakRate | undefined =>
    learningRate !== undefined ? { learningRate } : baseLearningRate !== undefined ? { baseLearningRate } : undefined;
  const united = { length: lengthOf(steps, epochs), warmup: lengthOf(warmupSteps, warmupEpochs), peak: peakOf() };
  return { ...rest, ...united } as unknown as Source<Table>;
}

/**
 * Turns resolved values back into options. Checkpoints and reports store them, and `--resume` reads them. Options that
 * hold for one start of a run are left out.
 */
export function storedOptions<
  Resolved extends Alternatives & ClusterValues & { anyClasses?: boolean; anyVae?: boolean; resumeOrStart?: boolean },
>(command: string, values: Resolved) {
  const { length, warmup, peak, anyClasses: _, anyVae: __, resumeOrStart: ___, ...others } = values;
  const rest = omit(others as typeof others & ClusterValues, 'processes', 'process', 'coordinator');
  const warmupOption = 'steps' in warmup ? { warmupSteps: warmup.steps } : { warmupEpochs: warmup.epochs };
  return { command, ...rest, ...length, ...warmupOption, ...peak };
}
