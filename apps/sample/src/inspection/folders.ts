import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from '@tb/command-line';
import { openSafetensors } from '@tb/io';
import { findDamage } from '@tb/trainer';
import { checkpointFormat, findCheckpoint, isCheckpoint, readProgress } from '../weights/run-folder.js';
import { type CacheOptions, inspectLatentCache } from './latent-cache.js';
import { countElements, grouped, type Inspection, type TensorLine } from './listing.js';
import { inspectSafetensors } from './weights.js';

/** A latent cache, a checkpoint of tb-train, or the folder of a run. */
export async function inspectFolder(folder: string, options: CacheOptions): Promise<Inspection> {
  if (existsSync(join(folder, 'cache.json'))) return inspectLatentCache(folder, options);
  if (isCheckpoint(folder)) return inspectTrainCheckpoint(folder);
  if (existsSync(join(folder, 'checkpoints'))) return inspectTrainCheckpoint(await findCheckpoint(folder));
  const weights = ['model.safetensors', 'vae.safetensors'].find((file) => existsSync(join(folder, file)));
  if (weights !== undefined) return inspectSafetensors(join(folder, weights));
  throw new UsageError(`${folder} is neither a run or checkpoint of tb-train nor a latent cache`);
}

async function inspectTrainCheckpoint(folder: string): Promise<Inspection> {
  const damage = await findDamage(folder, checkpointFormat);
  const manifest = await readJson(join(folder, 'manifest.json'));
  const progress = await readProgress(folder);
  const tensors: TensorLine[] = [];
  const facts: Record<string, string | number> = {
    folder,
    step: progress.step,
    'whole?': damage ?? 'every SHA-256 is right',
  };
  for (const part of ['model', 'ema', 'optimizer']) {
    const file = await openSafetensors(join(folder, `${part}.safetensors`));
    await file.close();
    const own = Object.entries(file.tensors).map(([name, { dtype, shape }]) => ({
      name: `${part}: ${name}`,
      dtype,
      shape,
    }));
    facts[`numbers in ${part}`] = grouped(countElements(own));
    tensors.push(...own);
  }
  return {
    kind: 'checkpoint of tb-train',
    facts,
    tensors,
    details: { progress, files: (manifest as { files: unknown }).files },
  };
}

async function readJson(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, 'utf8'));
}
