import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  checkValues,
  mergeValues,
  type Options,
  prepareFolder,
  type Resolved,
  UsageError,
  type ValuesOf,
  withDefaults,
} from '@tb/command-line';
import { readLatestProgress } from '@tb/trainer';
import { readConfig } from '../options/read-config.js';

/**
 * The values of a run, from the weakest source to the strongest: defaults (of a preset), the configuration that a run to
 * be resumed was started with, a configuration file, flags.
 */
export async function resolveRun<Table extends Options, Defaults extends ValuesOf<Table>>(
  command: string,
  table: Table,
  flags: ValuesOf<Table>,
  defaultsOf: (preset: string | undefined) => Defaults,
): Promise<Resolved<ValuesOf<Table>, Defaults>> {
  const { config, resume } = flags as { config?: string; resume?: boolean };
  const file = config === undefined ? {} : await readConfig(table, config, command);
  const { preset, out } = mergeValues<Table>(file, flags) as { preset?: string; out?: string };
  const folder = out ?? (defaultsOf(preset) as { out?: string }).out!;
  const stored = resume ? await storedValues(command, table, folder) : {};
  const named = (mergeValues<Table>(stored, file, flags) as { preset?: string }).preset;
  return withDefaults<ValuesOf<Table>, Defaults>(defaultsOf(named), stored, file, flags);
}

async function storedValues<Table extends Options>(
  command: string,
  table: Table,
  out: string,
): Promise<ValuesOf<Table>> {
  const progress = await readLatestProgress(join(out, 'checkpoints'));
  if (!progress)
    throw new UsageError(
      `--resume: there is no whole checkpoint in ${join(out, 'checkpoints')}; name the run's folder ` +
        'with --out, or leave --resume out to start anew',
    );
  const { command: startedBy = command, ...values } = progress.config;
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
  const checkpoints = await readdir(join(out, 'checkpoints')).catch(() => []);
  if (!resume && checkpoints.some((name) => name.startsWith('step-'))) {
    throw new UsageError(`--out ${out} holds a run already: continue it with --resume, or choose another folder`);
  }
}
