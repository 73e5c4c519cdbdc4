// The jobs that are killed: how each one is started or resumed, and what must be equal at its end.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { assertContentHash, readSafetensors } from '@tb/io';
import { openRun } from '@tb/trainer';
import { contentOf, filesBelow } from './folders.js';
import type { Inputs } from './inputs.js';
import type { Command } from './workshop.js';

/** Something that is interrupted at any moment and resumed by starting it again. */
export type Job = {
  subject: string;
  /** How often it is chosen, in relation to the others. */
  weight: number;
  /** The folder that one process at a time works in, below the folder of the trial. */
  out: string;
  /** How it is started or resumed; undefined when it has nothing left to do. */
  command(folder: string): Promise<Command | undefined> | Command | undefined;
  /** How much is finished and intact: steps or files. Throws when something finished is damaged. */
  progress(folder: string): Promise<number>;
  /** What must be equal at the end, by name: hashes of files, or text. */
  results(folder: string): Record<string, string>;
};

const wasm = ['--backend', 'wasm'];

/**
 * The jobs. Training runs both by the library, where a run takes a second, and by the command.
 *
 * @param cache - a complete latent cache, to train on by the command; without it there is no such job
 * @param steps - of the library's training, which writes a checkpoint at each
 */
export function jobsOf({ images, model, vae, features }: Inputs, cache: string | undefined, steps: number): Job[] {
  const training = (saving: 'wait' | 'background'): Job => ({
    subject: saving === 'wait' ? 'training' : 'training, saving in the background',
    weight: 4,
    out: 'run',
    command: (folder) => ({ program: 'train', args: [join(folder, 'run'), String(steps), saving] }),
    progress: (folder) => stepsOfRun(join(folder, 'run')),
    results: (folder) => resultsOfRun(join(folder, 'run')),
  });
  return [
    training('wait'),
    training('background'),
    ...(cache === undefined ? [] : [trainingCommand(cache)]),
    {
      subject: 'tb-train cache',
      weight: 3,
      out: 'cache',
      command: (folder) => {
        const out = join(folder, 'cache');
        // With its manifest a cache is complete, and the command refuses to write over it.
        return existsSync(join(out, 'manifest.json')) ? undefined : cacheCommand({ images, vae }, out);
      },
      progress: (folder) => countIntact(join(folder, 'cache')),
      results: (folder) => contentOf(join(folder, 'cache'), filesBelow(join(folder, 'cache')).filter(isResult)),
    },
    {
      subject: 'tb-sample generate --out',
      weight: 3,
      out: 'samples',
      command: (folder) => {
        const outputs = ['--out', join(folder, 'samples'), '--npz', join(folder, 'samples.npz')];
        const settings = ['--count', '4', '--batch', '2', '--num-iter', '2', '--backend', 'cpu'];
        return { program: 'tb-sample', args: ['generate', '--model', model, '--vae', vae, ...settings, ...outputs] };
      },
      progress: async (folder) => filesBelow(join(folder, 'samples')).filter((file) => file.endsWith('.png')).length,
      results: (folder) =>
        contentOf(
          folder,
          filesBelow(folder).filter((file) => /^samples.*\.(png|npz)$/.test(file)),
        ),
    },
    {
      subject: 'evaluation',
      weight: 3,
      out: 'work',
      command: (folder) => ({
        program: 'evaluate',
        args: [
          join(images, 'discs'),
          join(images, 'stripes'),
          features,
          join(folder, 'work'),
          join(folder, 'fid.json'),
        ],
      }),
      progress: (folder) => countIntact(join(folder, 'work')),
      results: (folder) => {
        const { date: _, ...report } = JSON.parse(readFileSync(join(folder, 'fid.json'), 'utf8'));
        return { report: JSON.stringify(report), ...contentOf(join(folder, 'work'), ['samples.safetensors']) };
      },
    },
  ];
}

/** Training by the command: four million parameters on images of a cache. */
const trainingCommand = (cache: string): Job => ({
  subject: 'tb-train model',
  weight: 1,
  out: 'run',
  command: async (folder) => {
    const run = join(folder, 'run');
    if ((await openRun(run).newestCheckpoint()) !== undefined)
      return { program: 'tb-train', args: ['model', '--resume', '--out', run] };
    const length = ['--batch', '2', '--steps', '4', '--checkpoint-every', '1', '--keep-checkpoints', '1'];
    return { program: 'tb-train', args: ['model', '--cache', cache, ...length, ...wasm, '--out', run] };
  },
  progress: (folder) => stepsOfRun(join(folder, 'run')),
  results: (folder) => resultsOfRun(join(folder, 'run')),
});

/** Writes a latent cache in several shards. */
export const cacheCommand = ({ images, vae }: Pick<Inputs, 'images' | 'vae'>, out: string): Command => {
  const settings = ['--image-size', '16', '--samples-per-shard', '3', '--batch', '2', '--threads', '1'];
  return {
    program: 'tb-train',
    args: ['cache', '--data', images, '--vae', vae, ...settings, '--backend', 'cpu', '--out', out],
  };
};

/** Files that are there by design, and not those that the campaign has put there. */
const isResult = (file: string) => !file.startsWith('.') && !file.includes('campaign');

/** The step of the newest intact checkpoint. */
const stepsOfRun = async (run: string) => (await openRun(run).newestCheckpoint())?.progress.step ?? 0;

/** Counts the files with checksums in a folder. Throws FileFormatError for one that is damaged. */
async function countIntact(folder: string): Promise<number> {
  const files = filesBelow(folder).filter((file) => isResult(file) && file.endsWith('.safetensors'));
  for (const file of files) assertContentHash(join(folder, file), await readSafetensors(join(folder, file)));
  return files.length;
}

/** The weights of a run, the names of its checkpoints, and the loss of each step as the log has it. */
function resultsOfRun(run: string): Record<string, string> {
  const weights = filesBelow(run).filter((file) => /^[^.].*\.safetensors$/.test(file) && !file.includes('/.'));
  const records = readFileSync(join(run, 'log.jsonl'), 'utf8').split('\n').filter(Boolean);
  const steps = records.map((line) => JSON.parse(line)).filter(({ event }) => event === 'step');
  return {
    ...contentOf(run, weights),
    checkpoints: readdirSync(join(run, 'checkpoints'))
      .filter((name) => isResult(name))
      .sort()
      .join(' '),
    log: steps.map(({ step, loss }) => `${step}: ${loss}`).join('\n'),
  };
}
