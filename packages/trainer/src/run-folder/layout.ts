// What a run of tb-train writes, and where. No other file knows these names.
//
//   run/                            the folder that --out names
//   ├─ checkpoints/
//   │  └─ step-00001000/            model, ema and optimizer (.safetensors), progress.json, manifest.json
//   ├─ samples/step-00001000.png
//   ├─ log.jsonl, events.out.tfevents.…, report.html
//   ├─ .tb-lock                     while a process works there (`lockFolder` of @tb/io)
//   └─ model.safetensors            the averaged weights, once the run has finished (or vae.safetensors)
//
// How a checkpoint is written, and what a crash leaves:
//   1. Its files go to `.step-N.<random>.tmp`.  A crash leaves that folder; the next save removes it.
//   2. The manifest, with a SHA-256 per file, is written last. Without it a folder is not a checkpoint.
//   3. A checkpoint of the same step, if there is one, is renamed to `.step-N.<random>.tmp.old`.  A crash here leaves that
//      folder: it is read as the checkpoint of step N, and the next save gives it its name back.
//   4. The temporary folder is renamed to `step-N`. From now on the new checkpoint exists.
//   5. The old one of the same step and all but the newest checkpoints are removed.  A crash leaves too many, never too few.
import { join } from 'node:path';

/** The `format` of a checkpoint's manifest. */
export const checkpointFormat = 'tokenbridge-checkpoint';

/** Files of a checkpoint, all of them listed in its manifest. */
export const checkpointFiles = {
  model: 'model.safetensors',
  ema: 'ema.safetensors',
  optimizer: 'optimizer.safetensors',
  progress: 'progress.json',
} as const;

export const manifestFile = 'manifest.json';

/** What a finished run ends with, by what it trained. */
export const finishedWeights = {
  model: 'model.safetensors',
  vae: 'vae.safetensors',
  features: 'features.safetensors',
} as const;

/** The file of the weights with which a run finishes. */
export const finishedWeightsOf = (run: string, kind: keyof typeof finishedWeights) => join(run, finishedWeights[kind]);

export const checkpointsOf = (run: string) => join(run, 'checkpoints');

export const checkpointName = (step: number) => `step-${stepDigits(step)}`;

/** Matches the name of a checkpoint. */
export const checkpointPattern = /^step-\d{8}$/;

/** Matches a checkpoint that was set aside for a new one of its step; the group is the name it had. */
export const setAsidePattern = /^\.(step-\d{8})\.[0-9a-f]{8}\.tmp\.old$/;

/** Matches a checkpoint that was not written to its end. */
export const unfinishedPattern = /^\.step-\d{8}\.[0-9a-f]{8}\.tmp$/;

/** Path of a run's log. */
export const logOf = (run: string) => join(run, 'log.jsonl');

export const reportOf = (run: string) => join(run, 'report.html');

export const samplesOf = (run: string) => join(run, 'samples');

/** Path of a sample image relative to the run. */
export const sampleFile = (step: number) => `samples/step-${stepDigits(step)}.png`;

/** Matches the path of a sample image relative to the run. */
export const samplePattern = /^samples\/step-\d{8}\.png$/;

const stepDigits = (step: number) => String(step).padStart(8, '0');
