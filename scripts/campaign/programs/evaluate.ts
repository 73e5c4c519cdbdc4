// Measures a folder of images against another with a small network, and keeps unfinished work, as tb-sample evaluate does.
//
//   evaluate.js <samples> <reference> <features file> <work folder> <report>
import { writeFileAtomic } from '@tb/io';
import { evaluatePaths, loadSmallFeatures, smallFeatureExtractor } from '@tb/metrics';
import { hostRandom, useBackend } from '@tb/runtime';

const [samples, reference, features, workFolder, report] = process.argv.slice(2);
await useBackend('cpu');
const extractor = smallFeatureExtractor(await loadSmallFeatures(features));
const result = await evaluatePaths(samples, reference, extractor, {
  workFolder,
  batchSize: 2,
  saveEvery: 4,
  resamples: 4,
  allowLossy: true,
  random: hostRandom(0).uniform,
});
await writeFileAtomic(report, `${JSON.stringify(result, null, 2)}\n`);
