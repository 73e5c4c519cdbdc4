import { prepareFile, withPasses } from '@tb/command-line';
import { saveReferenceStatistics } from '../../evaluation/run.js';
import { loadNetwork } from '../load-network.js';
import type { StatisticsValues } from './options.js';

/** `tb-metrics statistics`. */
export async function gatherStatistics(images: string, target: string, values: StatisticsValues): Promise<void> {
  await prepareFile('the target', target);
  const saved = await withPasses(values, (options) =>
    saveReferenceStatistics(images, target, () => loadNetwork(values), options),
  );
  if (saved !== undefined) console.log(`${target}: statistics of ${saved.count} images of ${saved.name}`);
}
