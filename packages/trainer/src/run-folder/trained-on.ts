// What a run was trained on, and how that differs from what it is to be trained on now. A resumed run continues with the
// labels and latents of before, so other classes or another autoencoder would change their meaning without a trace.
import { createHash } from 'node:crypto';
import { relative, sep } from 'node:path';
import { kl16 } from '@tb/vae';
import type { ImageSource } from '../data/image-source.js';
import type { Progress } from './progress.js';
import type { WeightsInfo } from './weights-info.js';

/** The data of a run, as its checkpoints describe it. Anything may be missing in weights of other makers. */
export type TrainedOn = Pick<WeightsInfo, 'imageSize' | 'vaeSha256' | 'latentScale'> & {
  /** In the order of their labels. */
  classNames?: readonly string[];
} & Partial<NonNullable<Progress['data']>>;

/** A pair of values that differ, in words. */
export type Change = { before: string; now: string };

/** How the data of a run differ from those that it was trained on before. */
export type DataChanges = {
  /** Labels mean something else. */
  classes?: Change;
  /** Latents mean something else: they are those of another autoencoder. */
  vae?: Change;
  /** Latents have another scale. */
  latentScale?: Change;
  imageSize?: Change;
  /** The order of the data is another from here on. */
  images?: Change;
};

/** Compares the data of a run with that of before. What one of the two does not state is not compared. */
export function compareData(before: TrainedOn, now: TrainedOn): DataChanges {
  return {
    classes: compareClasses(before.classNames, now.classNames),
    vae: compare(before.vaeSha256, now.vaeSha256, (hash) => hash.slice(0, 12)),
    latentScale: compareScales(before, now),
    imageSize: compare(before.imageSize, now.imageSize, (size) => `${size} × ${size}`),
    images: compare(before.images, now.images, count) ?? compare(before.names, now.names, () => 'others'),
  };
}

function compare<Value>(
  before: Value | undefined,
  now: Value | undefined,
  text: (value: Value) => string,
): Change | undefined {
  if (before === undefined || now === undefined || before === now) return undefined;
  return { before: text(before), now: text(now) };
}

/** Weights state the scale only where it is not that of kl16. */
function compareScales(before: TrainedOn, now: TrainedOn): Change | undefined {
  if (before.vaeSha256 === undefined || now.vaeSha256 === undefined) return undefined;
  const scaleOf = ({ latentScale = kl16.latentScale }: TrainedOn) => latentScale;
  return compare(scaleOf(before), scaleOf(now), String);
}

const count = (images: number) => `${images} image${images === 1 ? '' : 's'}`;

/** Names in another Unicode form are the same names: file systems change it. */
function compareClasses(before: readonly string[] = [], now: readonly string[] = []): Change | undefined {
  if (before.length === 0 || now.length === 0) return undefined;
  const isSame = (label: number) => before[label]?.normalize() === now[label]?.normalize();
  const labels = Array.from({ length: Math.max(before.length, now.length) }, (_, label) => label);
  const changed = labels.find((label) => !isSame(label));
  return changed === undefined ? undefined : { before: around(before, changed), now: around(now, changed) };
}

const mostNames = 8;

/** Names of classes, those around the first one that differs if there are many. */
function around(names: readonly string[], label: number): string {
  if (names.length <= mostNames) return names.join(', ');
  const first = Math.max(0, Math.min(label - 1, names.length - mostNames));
  const shown = names.slice(first, first + mostNames).join(', ');
  return `${first > 0 ? '…, ' : ''}${shown}${first + mostNames < names.length ? ', …' : ''} (${names.length} classes)`;
}

/**
 * What checkpoints state about the images of a source: their number, and a SHA-256 of their names.
 *
 * @param root - the folder of the images: moving it does not change the names
 */
export function describeImages(source: ImageSource, root: string): NonNullable<Progress['data']> {
  const hash = createHash('sha256');
  let last = '';
  for (let index = 0; index < source.length; index++) {
    const { path } = source.requestOf(index, 0);
    if (path === last) continue; // crops of one photograph
    last = path;
    hash.update(`${source.labelOf(index)} ${relative(root, path).replaceAll(sep, '/').normalize()}\n`);
  }
  return { images: source.length, names: hash.digest('hex') };
}
