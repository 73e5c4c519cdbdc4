import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { buildAddon } from './build-addon.js';
import { defaultCacheFolder } from './cache-folder.js';
import { assertCudaBuild } from './gpu-checks.js';
import { hashFile, type LinkRecord, writeLinkRecord } from './link-record.js';
import { probeAddon } from './probe.js';
import { findSources, hashSources } from './sources.js';
import { locateWheel } from './wheel.js';

/** Which TensorFlow `linkTensorflow` links, and where it builds. */
export type LinkOptions = {
  /** The Python whose TensorFlow is linked; default `python3`. */
  python?: string;
  /** The link is made only if TensorFlow runs on this; default: whatever it finds. */
  device?: 'cpu' | 'gpu';
  /** Where the addon is built and recorded; default: the user's cache folder, or `TB_CACHE`. */
  cacheFolder?: string;
  onProgress?: (line: string) => void;
};

/**
 * Builds tfjs-node's addon against the TensorFlow that a Python has installed, and records it, so that from then on
 * `useBackend('tensorflow')` uses that TensorFlow. Nothing in node_modules is changed; TensorFlow is not downloaded.
 *
 * @throws TensorflowProblem that names what is missing and the command that fixes it
 */
export async function linkTensorflow(options: LinkOptions = {}): Promise<LinkRecord> {
  const { python = 'python3', device, cacheFolder = defaultCacheFolder(), onProgress = () => {} } = options;
  const wheel = await locateWheel(python);
  if (device === 'gpu') assertCudaBuild(wheel);
  const packageFolder = await findSources(cacheFolder, onProgress);
  const key = createHash('sha256').update(hashSources(packageFolder)).update(wheel.folder).digest('hex').slice(0, 12);
  const folder = join(cacheFolder, 'tensorflow', `${wheel.version}-${key}`);
  const addon = await buildAddon({ wheel, sources: packageFolder, folder, onProgress });
  const { usesGpu } = await probeAddon(addon, device);
  const { cudaLibraries: _, ...tensorflow } = wheel;
  const record: LinkRecord = {
    format: 1,
    device: usesGpu ? 'gpu' : 'cpu',
    addon,
    addonHash: hashFile(addon),
    packageFolder,
    tensorflow,
  };
  writeLinkRecord(cacheFolder, record);
  onProgress(`linked TensorFlow ${wheel.version} (${record.device})`);
  return record;
}
