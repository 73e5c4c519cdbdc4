import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileSha256, type HostTensor, InputError, readSafetensors, readStateDict } from '@tb/io';
import { type InceptionWeights, inceptionWeights } from './weights.js';

/** The published weights, which pytorch-fid and torch-fidelity host under two names. */
const FILE_NAMES = ['pt_inception-2015-12-05-6726825d.pth', 'weights-inception-2015-12-05-6726825d.pth'];
const ADDRESS = `https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/${FILE_NAMES[0]}`;
const SIZE = '95,628,359 bytes';

/** SHA-256 of the published file. */
export const INCEPTION_SHA256 = '6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2';

/** Weights of Inception-v3 that were loaded, their file, and its SHA-256. */
export type InceptionWeightsFile = {
  readonly weights: InceptionWeights;
  readonly path: string;
  readonly hash: string;
};

/** Options of `loadInceptionWeights`. */
export type InceptionWeightsOptions = {
  /** The file; default: where PyTorch or this package's cache folder would have it. */
  readonly path?: string;
  /** Accept weights other than the published ones. Their distance is not an FID, and reports state that. */
  readonly allowOther?: boolean;
};

/**
 * Finds, checks and loads Inception-v3's weights (.pth or .safetensors).
 *
 * @throws Error if there is no such file: what to download, how large, and where to put it; or if its SHA-256 is another
 */
export async function loadInceptionWeights({
  path: chosen,
  allowOther = false,
}: InceptionWeightsOptions = {}): Promise<InceptionWeightsFile> {
  const path = findInceptionWeights(chosen);
  const hash = await fileSha256(path);
  if (hash !== INCEPTION_SHA256 && !allowOther) {
    throw new InputError(
      'loadInceptionWeights',
      `${path} is damaged or holds other weights than the published ones.\n` +
        `  SHA-256 ${hash}, must be\n          ${INCEPTION_SHA256} (${SIZE}).\n` +
        `  Download ${ADDRESS} again, or accept the file with --allow-other-weights: the distance is then no FID.`,
    );
  }
  return { weights: inceptionWeights(await readTensors(path)), path, hash };
}

/**
 * The file of Inception-v3's weights, without reading it: the one given, or the one in a cache folder.
 *
 * @throws InputError if there is no such file: what to download, how large, and where to put it
 */
export function findInceptionWeights(path = findInCaches()): string {
  if (path !== undefined && existsSync(path)) return path;
  throw new InputError('findInceptionWeights', missingMessage(path));
}

async function readTensors(path: string): Promise<Record<string, HostTensor>> {
  return path.endsWith('.safetensors') ? (await readSafetensors(path)).tensors : readStateDict(path);
}

function searchFolders(): string[] {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return [join(cache, 'tokenbridge'), join(process.env.TORCH_HOME || join(cache, 'torch'), 'hub', 'checkpoints')];
}

function findInCaches(): string | undefined {
  return searchFolders()
    .flatMap((folder) => FILE_NAMES.map((name) => join(folder, name)))
    .find((file) => existsSync(file));
}

function missingMessage(path: string | undefined): string {
  const where =
    path === undefined ? `none of these folders has them: ${searchFolders().join(', ')}` : `${path} does not exist`;
  return (
    `Inception-v3's weights are needed, and ${where}.\n` +
    `  Download ${ADDRESS}\n` +
    `  (${SIZE}, SHA-256 ${INCEPTION_SHA256})\n` +
    `  into ${searchFolders()[0]}, or name the file with --weights.`
  );
}
