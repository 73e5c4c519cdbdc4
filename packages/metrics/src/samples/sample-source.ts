/** Where images come from. N = images, H, W = height and width. */

export type SampleBatch = {
  /** RGB bytes [N, H, W, 3]. */
  readonly pixels: Uint8Array;
  readonly count: number;
  readonly height: number;
  readonly width: number;
};

/** Where the images of an evaluation come from. */
export type SampleSource = {
  /** What a report calls it: usually the path. */
  readonly name: string;
  readonly count: number;
  /** What was found and what was left out, in one line. */
  readonly summary?: string;
  /** Changes when the images do, as far as can be told without decoding them: a resumed run must find the same. */
  readonly fingerprint: string;
  /** How the samples were made (guidance scale, seed, weights…), where they state it. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Batches in a fixed order, of images of one size each, beginning with image number `from`. */
  batches(size: number, from?: number): AsyncGenerator<SampleBatch>;
};

/** Images held in memory: RGB bytes [N, H, W, 3]. @throws RangeError if there are more or fewer bytes */
export function samplesInMemory(name: string, { pixels, count, height, width }: SampleBatch): SampleSource {
  const stride = height * width * 3;
  if (pixels.length !== count * stride) {
    throw new RangeError(
      `samplesInMemory: ${count} images of ${width}×${height} must have ${count * stride} bytes, got ${pixels.length}`,
    );
  }
  return {
    name,
    count,
    fingerprint: `memory:${count}×${height}×${width}`,
    async *batches(size, from = 0) {
      for (let start = from; start < count; start += size) {
        const end = Math.min(start + size, count);
        yield { pixels: pixels.subarray(start * stride, end * stride), count: end - start, height, width };
      }
    },
  };
}
