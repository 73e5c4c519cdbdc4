// Measures a folder of images against another with a small network, and keeps unfinished work, as tb-sample evaluate does.
//
//   evaluate.js <samples> <reference> <features file> <work folder> <report>
import { runProgram, tableCommand } from '@tb/command-line';
import { writeFileAtomic } from '@tb/io';
import { evaluatePaths, loadSmallFeatures, smallFeatureExtractor } from '@tb/metrics';
import { hostRandom, useBackend } from '@tb/runtime';

const program = tableCommand('evaluate', {}, async (_, [samples, reference, features, workFolder, report]) => {
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
});
await runProgram(program.argument('<paths...>')); // a failure is one sentence, as in the commands
