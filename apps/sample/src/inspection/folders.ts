import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from '@tb/command-line';
import { openSafetensors } from '@tb/io';
import { findDamage, readWeightsInfo } from '@tb/trainer';
import { checkpointFormat, findCheckpoint, isCheckpoint, readProgress } from '../weights/run-folder.js';
import { type CacheOptions, inspectLatentCache } from './latent-cache.js';
import { countElements, grouped, type Inspection, type TensorLine } from './listing.js';
import { inspectSafetensors, linesOf, originFacts } from './weights.js';

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
  const { files } = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'));
  const progress = await readProgress(folder);
  const { sha256: _, ...info } = await readWeightsInfo(join(folder, 'ema.safetensors'));
  const tensors: TensorLine[] = [];
  const facts: Record<string, string | number> = {
    folder,
    step: progress.step,
    'whole?': damage ?? 'every SHA-256 is right',
    ...originFacts(info),
  };
  for (const part of ['model', 'ema', 'optimizer']) {
    const file = await openSafetensors(join(folder, `${part}.safetensors`));
    await file.close();
    const own = linesOf(file, `${part}: `);
    facts[`numbers in ${part}`] = grouped(countElements(own));
    tensors.push(...own);
  }
  const details = { ...(info.modelConfig && { model: info.modelConfig }), progress, files };
  return { kind: 'checkpoint of tb-train', facts, tensors, details };
}
