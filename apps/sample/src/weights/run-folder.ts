// What tb-train leaves behind, and which of its files hold the weights that are asked for.
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { UsageError } from '@tb/command-line';
import { openSafetensors } from '@tb/io';
import { presets, type TokenBridgeConfig } from '@tb/tokenbridge';
import { findDamage } from '@tb/trainer';

export const checkpointFormat = 'tokenbridge-checkpoint';

/** The step, the options of the run, and what else a checkpoint says about itself. */
export type CheckpointProgress = { step: number; config: Record<string, unknown> };

/** Whether a folder is one checkpoint, as opposed to the folder of a run. */
export function isCheckpoint(folder: string): boolean {
  return existsSync(join(folder, 'manifest.json')) && existsSync(join(folder, 'progress.json'));
}

/**
 * The newest checkpoint of a run that is whole, or the folder itself if it is a whole checkpoint.
 *
 * @throws UsageError when there is none, with what is wrong with those that are there
 */
export async function findCheckpoint(folder: string): Promise<string> {
  if (isCheckpoint(folder)) {
    const damage = await findDamage(folder, checkpointFormat);
    if (damage !== undefined) throw new UsageError(`the checkpoint ${folder} cannot be used: ${damage}`);
    return folder;
  }
  const damaged: string[] = [];
  for (const checkpoint of await listCheckpoints(folder)) {
    const damage = await findDamage(checkpoint, checkpointFormat);
    if (damage === undefined) return checkpoint;
    damaged.push(`${basename(checkpoint)}: ${damage}`);
  }
  const why = damaged.length > 0 ? ` that is whole (${damaged.join('; ')})` : '';
  throw new UsageError(`${folder} holds no checkpoint${why}; tb-train model makes them`);
}

/** Checkpoints of a run, newest first, whole or not. */
async function listCheckpoints(run: string): Promise<string[]> {
  const names = await readdir(join(run, 'checkpoints')).catch(() => []);
  const checkpoints = names.filter((name) => /^step-\d+$/.test(name)).sort();
  return checkpoints.reverse().map((name) => join(run, 'checkpoints', name));
}

/** The options of a run, as its newest checkpoint holds them; none for a folder that is no run. */
export async function optionsOfRun(run: string): Promise<Record<string, unknown>> {
  for (const checkpoint of await listCheckpoints(run)) {
    const progress = await readProgress(checkpoint).catch(() => undefined);
    if (progress) return progress.config;
  }
  return {};
}

export async function readProgress(checkpoint: string): Promise<CheckpointProgress> {
  return JSON.parse(await readFile(join(checkpoint, 'progress.json'), 'utf8'));
}

/**
 * What the weights of a checkpoint of an earlier version are weights of; later ones say it themselves. The options of the run
 * give the preset, the shapes of the weights the sizes that came from the data.
 *
 * @param file - `model.safetensors` or `ema.safetensors` of the checkpoint
 * @throws UsageError when the run trained something else than a model
 */
export async function configOfCheckpoint(file: string, { config }: CheckpointProgress): Promise<TokenBridgeConfig> {
  const opened = await openSafetensors(file);
  await opened.close();
  const sizeOf = (name: string, axis: number) => opened.tensors[name]?.shape[axis];
  const preset: TokenBridgeConfig | undefined = presets[config.preset as keyof typeof presets];
  const classes = sizeOf('class_emb.weight', 0);
  const channels = sizeOf('z_proj.weight', 1);
  const padded = sizeOf('encoder_pos_embed_learned', 1);
  if (!preset || !classes || !channels || !padded)
    throw new UsageError(
      `${file} does not hold the weights of a TokenBridge model; --model takes runs of tb-train model`,
    );
  const side = Math.sqrt(padded - preset.backbone.bufferSize);
  const levels = typeof config.levels === 'number' ? config.levels : preset.quantizer.levels;
  return {
    ...preset,
    latent: { height: side, width: side, channels },
    classes,
    quantizer: { ...preset.quantizer, levels },
  };
}
