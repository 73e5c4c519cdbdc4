import { createImageGenerator, type GenerateProgress } from '@tb/tokenbridge';
import type { LoadedModel, LoadedVae } from '@tb/trainer';

// N = images

export type LabelledImages = {
  /** RGB bytes [N, side, side, 3]. */
  images: Uint8Array;
  /** The class asked for [N]. */
  labels: Int32Array;
  size: number;
};

export type GeneratedOptions = {
  /** Number of the first image (default 0), and how many. */
  first?: number;
  count: number;
  /** The class of all images (default: each class in turn). */
  label?: number;
  /** Image i has the seed `firstSeed` + i. */
  firstSeed: number;
  numIter: number;
  cfg: number;
  /** Images generated together. */
  batch: number;
  /** Called after every step with the finished images, and a fraction for those in progress. */
  onProgress?: (done: number, total: number) => void;
};

/** Generates images. Image i depends on its seed alone. All are kept in memory. */
export async function generateImages(
  vae: LoadedVae,
  model: LoadedModel,
  { first = 0, count, label, firstSeed, numIter, cfg, batch, onProgress }: GeneratedOptions,
): Promise<LabelledImages> {
  const numbers = Array.from({ length: count }, (_, i) => first + i);
  const labels = numbers.map((i) => label ?? i % model.config.classes);
  const seeds = numbers.map((i) => firstSeed + i);
  const settings = { steps: numIter, guidanceScale: cfg, temperature: 1, batchSize: batch };
  const generator = createImageGenerator({ model, vae, ...settings });
  const images: Uint8Array[] = [];
  let size = 0;
  try {
    const report = ({ known, positions }: GenerateProgress) => onProgress?.((count * known) / positions, count);
    for await (const generated of generator.generate({ labels, seeds, onProgress: report })) {
      size = generated.images[0].width;
      images.push(...generated.images.map(({ data }) => data));
    }
  } finally {
    generator.dispose();
  }
  return { images: new Uint8Array(Buffer.concat(images)), labels: Int32Array.from(labels), size };
}

/** Both sets in one; their images have the same size. */
export function joinImages(a: LabelledImages, b: LabelledImages): LabelledImages {
  return {
    images: new Uint8Array(Buffer.concat([a.images, b.images])),
    labels: Int32Array.from([...a.labels, ...b.labels]),
    size: a.size,
  };
}
