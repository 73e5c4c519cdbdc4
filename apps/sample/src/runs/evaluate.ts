import { prepareFile } from '@tb/command-line';
import { startEngine } from '@tb/command-line/compute';
import { writeFileAtomic } from '@tb/io';
import { evaluatePaths, inceptionExtractor, loadInceptionWeights, reportText } from '@tb/metrics';
import { hostRandom } from '@tb/runtime';
import type { EvaluateValues } from '../commands/evaluate.js';
import { comparePairs, pairsText } from '../reconstruction/pairs.js';
import { version } from '../version.js';

/** `tb-sample evaluate`, with every option filled in that has a default. */
export async function evaluate(samples: string, reference: string, values: EvaluateValues): Promise<void> {
  if (values.json !== undefined) await prepareFile('--json', values.json);
  const { text: lines, report } = values.pairs
    ? await evaluatePairs(samples, reference)
    : await evaluateSets(samples, reference, values);
  console.log(lines);
  if (values.json === undefined) return;
  await writeFileAtomic(values.json, `${JSON.stringify(report, null, 2)}\n`);
  console.log(`report: ${values.json}`);
}

async function evaluatePairs(samples: string, reference: string) {
  const report = await comparePairs(samples, reference);
  return { text: pairsText(report), report };
}

async function evaluateSets(samples: string, reference: string, values: EvaluateValues) {
  const { weights: path, allowOtherWeights: allowOther, preprocessing } = values;
  await startEngine(values);
  const { weights, hash } = await loadInceptionWeights({ path, allowOther });
  const report = await evaluatePaths(samples, reference, inceptionExtractor(weights, hash, preprocessing), {
    version,
    batchSize: values.batch,
    keep: values.keep,
    resamples: values.resamples,
    allowLossy: values.allowLossy,
    workFolder: values.resume,
    random: hostRandom(values.seed).uniform,
    onProgress: showProgress,
  });
  return { text: reportText(report), report };
}

/** One line that is rewritten on a terminal; silent elsewhere. */
function showProgress(what: string, done: number, total: number): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${what}: ${done}/${total} pictures${done === total ? '\n' : ''}`);
}
