import { UsageError } from '@tb/command-line';
import { printable } from '@tb/io';
import { type ClassAgreement, classAgreement, loadSmallFeatures, type SmallFeatureFile } from '@tb/metrics';
import { compareData } from '@tb/trainer';
import type { LabelledImages } from './generated-images.js';

/**
 * Loads a feature network, which is a classifier too: it judges whether images show the requested class.
 *
 * @param classNames - of the model whose images are judged
 * @throws UsageError if the network has other classes
 */
export async function loadJudge(path: string, classNames: readonly string[], flag: string): Promise<SmallFeatureFile> {
  const judge = await loadSmallFeatures(path);
  const { classes } = compareData({ classNames }, judge);
  if (!classes) return judge;
  throw new UsageError(
    printable(
      `${flag} must have the classes of the model (${classes.before}), got ${classes.now}: train it on the model's data`,
    ),
  );
}

const judgeBatch = 32;

/** The share of images that the judge assigns to their class. */
export async function judgeImages(
  judge: SmallFeatureFile,
  { images, labels, size }: LabelledImages,
): Promise<ClassAgreement> {
  const length = size * size * 3;
  const batches = Array.from({ length: Math.ceil(labels.length / judgeBatch) }, (_, i) => {
    const [first, last] = [i * judgeBatch, Math.min((i + 1) * judgeBatch, labels.length)];
    return { images: images.subarray(first * length, last * length), labels: labels.subarray(first, last) };
  });
  return classAgreement(judge, batches, size);
}
