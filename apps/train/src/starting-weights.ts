// Checks the weights that a run starts from (--initial or --resume): labels and latents must mean the same as in the run.
import { flagName, type Overrides, UsageError } from '@tb/command-line';
import { printable } from '@tb/io';
import { type Change, type Checkpoint, compareData, findWeights, readWeightsInfo, type TrainedOn } from '@tb/trainer';
import type { acceptOptions } from './options/files.js';

/**
 * Finds the file of the weights that a run starts from: the one that --initial names, or the final one of the run that it names.
 *
 * @param kind - what is trained
 * @returns undefined for a run that starts from random weights or is resumed
 * @throws UsageError when it is missing or holds weights of the other kind
 */
export async function findInitialWeights(
  { initial, resume }: { initial?: string; resume: boolean },
  kind: 'vae' | 'model',
): Promise<string | undefined> {
  if (initial === undefined || resume) return undefined;
  const path = findWeights('--initial', initial, kind);
  const { vaeConfig, modelConfig } = await readWeightsInfo(path);
  if (kind === 'model' && vaeConfig)
    throw new UsageError(`--initial ${path} holds an autoencoder, not a TokenBridge model`);
  if (kind === 'vae' && modelConfig)
    throw new UsageError(`--initial ${path} holds a TokenBridge model, not an autoencoder`);
  return path;
}

type Accepted = Overrides<typeof acceptOptions>;

/**
 * Checks a run against the checkpoint that it resumes from, and prints what changes the order of its data.
 *
 * @returns the check, for `train`
 */
export function sameDataCheck(now: TrainedOn, options: Record<string, unknown>, accepted: Accepted) {
  return ({ folder, info, progress }: Pick<Checkpoint, 'folder' | 'info' | 'progress'>): void => {
    const { classes, vae, latentScale, imageSize, images } = compareData({ ...info, ...progress.data }, now);
    refuse('--resume', folder, { classes, vae, latentScale }, accepted);
    if (imageSize) console.error(`image size: ${imageSize.now} from here on, ${imageSize.before} so far`);
    if (images)
      console.error(
        images.now === 'others'
          ? 'the images have other names than those that the run was trained on so far: their order changes from here on'
          : `the data has ${images.now}, and had ${images.before} so far: the order of the images changes from here on`,
      );
    for (const line of changedOptions(progress.config, options)) console.error(line);
  };
}

/** Options that decide how images are cut and ordered. */
const imageOptions = [
  'crops',
  'cropsPerPhotograph',
  'cropScaleMin',
  'cropScaleMax',
  'heldOut',
  'flip',
  'seed',
] as const;

function changedOptions(before: Record<string, unknown>, now: Record<string, unknown>): string[] {
  return imageOptions
    .filter((name) => before[name] !== undefined && now[name] !== undefined && before[name] !== now[name])
    .map((name) => `--${flagName(name)}: ${now[name]} from here on, ${before[name]} so far`);
}

/**
 * Checks the weights that --initial names.
 *
 * @param path - their file; undefined for a run that starts without
 * @throws UsageError when they were trained on other classes, or with another autoencoder
 */
export async function assertSameData(path: string | undefined, now: TrainedOn, accepted: Accepted): Promise<void> {
  if (path === undefined) return;
  const { classes, vae, latentScale } = compareData(await readWeightsInfo(path), now);
  refuse('--initial', path, { classes, vae, latentScale }, accepted);
}

function refuse(
  option: string,
  weights: string,
  { classes, vae, latentScale }: { classes?: Change; vae?: Change; latentScale?: Change },
  { anyClasses, anyVae }: Accepted,
): void {
  if (classes && !anyClasses)
    throw new UsageError(
      `${option}: ${weights} was trained on the classes ${printable(classes.before)}, and the data has ` +
        `${printable(classes.now)}; --any-classes gives the labels to the new classes all the same`,
    );
  if (vae && !anyVae)
    throw new UsageError(
      `${option}: ${weights} was trained with the autoencoder whose SHA-256 begins with ${vae.before}, and that of this run ` +
        `begins with ${vae.now}; --any-vae uses it all the same`,
    );
  if (latentScale && !vae && !anyVae)
    throw new UsageError(
      `${option}: ${weights} was trained on latents times ${latentScale.before}, and those of this run are multiplied by ` +
        `${latentScale.now}: --latent-scale ${latentScale.before} is the scale of before; --any-vae accepts another`,
    );
}
