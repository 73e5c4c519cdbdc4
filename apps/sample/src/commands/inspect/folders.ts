import { existsSync } from 'node:fs';
import { join, parse } from 'node:path';
import { UsageError } from '@tb/command-line';
import { openSafetensors } from '@tb/io';
import { type Checkpoint, finishedWeightsOf, openRun } from '@tb/trainer';
import { type CacheOptions, inspectLatentCache } from './latent-cache.js';
import { countElements, type Inspection, type TensorLine, withSeparators } from './listing.js';
import { inspectSafetensors, linesOf, originFacts } from './weights.js';

/** A latent cache, a checkpoint of tb-train, or the folder of a run. */
export async function inspectFolder(folder: string, options: CacheOptions): Promise<Inspection> {
  if (existsSync(join(folder, 'cache.json'))) return inspectLatentCache(folder, options);
  const checkpoint = await openRun(folder).newestCheckpoint();
  if (checkpoint) return inspectTrainCheckpoint(checkpoint);
  const weights = (['model', 'vae'] as const).map((kind) => finishedWeightsOf(folder, kind)).find(existsSync);
  if (weights !== undefined) return inspectSafetensors(weights);
  throw new UsageError(`${folder} is neither a run or checkpoint of tb-train nor a latent cache`);
}

async function inspectTrainCheckpoint({ folder, progress, info, files, damaged }: Checkpoint): Promise<Inspection> {
  const tensors: TensorLine[] = [];
  const facts: Record<string, string | number> = {
    folder,
    step: progress.step,
    'intact?': 'yes, every SHA-256 is right',
    ...(damaged.length > 0 && { 'newer, but damaged': damaged.join('; ') }),
    ...originFacts(info),
  };
  for (const name of Object.keys(files).filter((name) => name.endsWith('.safetensors'))) {
    const part = parse(name).name;
    const file = await openSafetensors(join(folder, name));
    await file.close();
    const ofPart = linesOf(file, `${part}: `);
    facts[`numbers in ${part}`] = withSeparators(countElements(ofPart));
    tensors.push(...ofPart);
  }
  const details = { ...(info.modelConfig && { model: info.modelConfig }), progress, files };
  return { kind: 'checkpoint of tb-train', facts, tensors, details };
}
