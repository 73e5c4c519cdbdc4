import {
  checkValues,
  mergeValues,
  type Options,
  prepareFolder,
  type Resolved,
  UsageError,
  type ValuesOf,
} from '@tb/command-line';
import { openRun } from '@tb/trainer';
import { readConfig } from '../options/read-config.js';

/**
 * Options that say one thing in two ways. Of one source's the first counts; either of them hides the other in weaker
 * sources, so that `--epochs` is not overruled by a default of `--steps`.
 */
const alternatives = [
  ['steps', 'epochs'],
  ['warmupSteps', 'warmupEpochs'],
  ['learningRate', 'baseLearningRate'],
] as const;

/** The values of a run. Of two alternatives, the one that has a default may be hidden by the other. */
export type ResolvedRun<Values, Defaults> = Resolved<Values, Omit<Defaults, (typeof alternatives)[number][number]>>;

/**
 * The values of a run, from the weakest source to the strongest: defaults (of a preset), the configuration that a run to
 * be resumed was started with, a configuration file, flags.
 */
export async function resolveRun<Table extends Options, Defaults extends ValuesOf<Table>>(
  command: string,
  table: Table,
  flags: ValuesOf<Table>,
  defaultsOf: (preset: string | undefined) => Defaults,
): Promise<{
  values: ResolvedRun<ValuesOf<Table>, Defaults>;
  /** What the user says of this run, the stronger source last. */
  given: readonly ValuesOf<Table>[];
}> {
  const { config, resume } = flags as { config?: string; resume?: boolean };
  const file = config === undefined ? {} : await readConfig(table, config, command);
  const { preset, out } = mergeValues<Table>(file, flags) as { preset?: string; out?: string };
  const folder = out ?? (defaultsOf(preset) as { out?: string }).out!;
  const stored = resume ? await storedValues(command, table, folder) : {};
  const named = (mergeValues<Table>(stored, file, flags) as { preset?: string }).preset;
  const layers = [defaultsOf(named), stored, file, flags] as ValuesOf<Table>[];
  const values = layers.reduce((weaker, stronger) =>
    mergeValues<Table>(withoutAlternatives(weaker, stronger), stronger),
  );
  return { values: values as ResolvedRun<ValuesOf<Table>, Defaults>, given: [file, flags] };
}

/** The weaker values without those that the stronger ones say in their own way. */
function withoutAlternatives<Values extends Record<string, unknown>>(weaker: Values, stronger: Values): Values {
  const hidden = alternatives.filter((pair) => pair.some((name) => stronger[name] !== undefined)).flat();
  return Object.fromEntries(Object.entries(weaker).filter(([name]) => !(hidden as string[]).includes(name))) as Values;
}

async function storedValues<Table extends Options>(
  command: string,
  table: Table,
  out: string,
): Promise<ValuesOf<Table>> {
  const checkpoint = await openRun(out).newestCheckpoint();
  if (!checkpoint)
    throw new UsageError(
      `--resume: ${out} holds no checkpoint; name the run's folder with --out, or leave --resume out to start a new run`,
    );
  const { command: startedBy = command, ...values } = checkpoint.progress.config;
  if (startedBy !== command)
    throw new UsageError(`--out ${out} holds a run of tb-train ${startedBy}, which tb-train ${command} cannot resume`);
  return checkValues(table, values, `the checkpoint in ${out}`);
}

/** What checkpoints and reports keep of a run: `storedValues` reads it. */
export function storedConfig<Values extends object>(command: string, values: Values) {
  return { command, ...values };
}

/** Makes the folder of a run, or says why it cannot be used. */
export async function prepareRunFolder(out: string, resume: boolean): Promise<void> {
  await prepareFolder('--out', out);
  if (!resume && (await openRun(out).hasCheckpoints())) {
    throw new UsageError(`--out ${out} holds a run already: continue it with --resume, or choose another folder`);
  }
}
