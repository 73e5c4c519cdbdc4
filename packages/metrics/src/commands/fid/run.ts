import { prepareFile, withPasses } from '@tb/command-line';
import { writeFileAtomic } from '@tb/io';
import { hostRandom } from '@tb/runtime';
import { reportFileName, reportText } from '../../evaluation/report-text.js';
import { evaluatePaths } from '../../evaluation/run.js';
import { loadNetwork } from '../load-network.js';
import type { FidValues } from './options.js';

/** `tb-metrics fid`. */
export async function measureDistance(samples: string, reference: string, values: FidValues): Promise<void> {
  const { resamples, allowLossy, seed, json = reportFileName(samples) } = values;
  await prepareFile('--json', json);
  const report = await withPasses(values, (options) =>
    evaluatePaths(samples, reference, () => loadNetwork(values), {
      ...options,
      resamples,
      allowLossy,
      random: hostRandom(seed).uniform,
    }),
  );
  if (report === undefined) return; // stopped
  console.log(reportText(report));
  await writeFileAtomic(json, `${JSON.stringify(report, null, 2)}\n`);
  console.log(`report written to ${json}`);
}
