import { UsageError } from '@tb/command-line';
import { type ClassAgreement, classAgreement, loadSmallFeatures, type SmallFeatureFile } from '@tb/metrics';
import type { LabelledPictures } from './generated-images.js';

/**
 * Loads a feature network, which as a classifier judges whether pictures show the class that was asked for.
 *
 * @param classNames - those of the model whose pictures it is to judge
 * @throws UsageError if it knows other classes
 */
export async function loadJudge(path: string, classNames: readonly string[], flag: string): Promise<SmallFeatureFile> {
  const judge = await loadSmallFeatures(path);
  if (judge.classNames.join() === classNames.join()) return judge;
  throw new UsageError(
    `${flag} must know the classes of the model (${classNames.join(', ')}), got ${judge.classNames.join(', ')}: train them on its data`,
  );
}

const judgeBatch = 32;

/** How often the judge gives pictures the class they are meant to show. */
export async function judgePictures(
  judge: SmallFeatureFile,
  { images, labels, size }: LabelledPictures,
): Promise<ClassAgreement> {
  const length = size * size * 3;
  const batches = Array.from({ length: Math.ceil(labels.length / judgeBatch) }, (_, i) => {
    const [first, last] = [i * judgeBatch, Math.min((i + 1) * judgeBatch, labels.length)];
    return { images: images.subarray(first * length, last * length), labels: labels.subarray(first, last) };
  });
  return classAgreement(judge, batches, size);
}
