// From measured rates to the complete ImageNet job, and both as tables: pure functions.

/** What the command lines reached. Rates are images per second after start-up, times are seconds; absent what was not measured. */
export type JobFigures = {
  cacheStartSeconds?: number;
  cacheImagesPerSecond?: number;
  trainFirstStepColdSeconds?: number;
  trainFirstStepCachedSeconds?: number;
  trainAllReadyColdSeconds?: number;
  trainImagesPerSecond?: number;
  sampleOneColdSeconds?: number;
  sampleOneCachedSeconds?: number;
  sampleStartSeconds?: number;
  sampleImagesPerSecond?: number;
  fidSeconds?: number;
  fidImages?: number;
};

/** Rows of the table, in its order: the figure, what it is, and its unit. */
const rows: readonly [keyof JobFigures, string, string][] = [
  ['cacheStartSeconds', '`tb-train cache`: command to first image', 's'],
  ['cacheImagesPerSecond', '`tb-train cache`, image and mirror image', 'images/s'],
  ['trainFirstStepColdSeconds', '`tb-train model`: command to first step, nothing cached', 's'],
  ['trainFirstStepCachedSeconds', 'the same, programs cached', 's'],
  ['trainAllReadyColdSeconds', '`tb-train model`: command to the last program, nothing cached', 's'],
  ['trainImagesPerSecond', '`tb-train model`, from the cache', 'images/s'],
  ['sampleOneColdSeconds', '`tb-sample generate`, one image, nothing cached', 's'],
  ['sampleOneCachedSeconds', 'the same, programs cached', 's'],
  ['sampleStartSeconds', '`tb-sample generate`, many images: command to first image', 's'],
  ['sampleImagesPerSecond', '`tb-sample generate`, many images, with PNG files', 'images/s'],
  ['fidSeconds', '`tb-metrics fid`', 's'],
];

const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;

/** At most three digits, with thousands set apart. */
const written = (value: number) => value.toLocaleString('en', { maximumSignificantDigits: 3 });

/** The measured figures as a Markdown table. */
export function jobTable(figures: JobFigures): string {
  const measured = rows.flatMap(([name, text, unit]) => {
    const value = figures[name];
    const images = name === 'fidSeconds' && figures.fidImages ? ` of ${written(figures.fidImages)} PNG files` : '';
    return value === undefined ? [] : [line([`${text}${images}`, `${written(value)} ${unit}`])];
  });
  return [line(['job', 'measured']), line(['---', '---']), ...measured].join('\n');
}

/** The sizes of the job that the paper's results take. */
export const imageNet = { images: 1_281_167, epochs: 800, samples: 50_000 };

/** One part of the ImageNet job on a number of GPUs, in hours. */
export type ProjectedPart = { part: string; hours: number };

/**
 * Calculates the ImageNet job from the rates of one GPU. Only the rate is measured: the hours of one GPU are its quotient, those of
 * several assume the given efficiency.
 *
 * @param efficiency - speed of each of several GPUs in training, relative to one alone, in (0, 1]; other jobs share nothing
 */
export function projectImageNet(figures: JobFigures, gpus: number, efficiency = 0.935): ProjectedPart[] {
  const hours = (images: number, rate: number | undefined, each = 1) =>
    rate === undefined ? [] : [images / (rate * gpus * (gpus > 1 ? each : 1)) / 3600];
  const { images, epochs, samples } = imageNet;
  const parts: [string, number[]][] = [
    ['cache', hours(images, figures.cacheImagesPerSecond)],
    [`training, ${epochs} epochs`, hours(images * epochs, figures.trainImagesPerSecond, efficiency)],
    [`${samples.toLocaleString('en')} samples`, hours(samples, figures.sampleImagesPerSecond)],
    ['FID', fidHours(figures, samples)],
  ];
  return parts.flatMap(([part, values]) => values.map((value) => ({ part, hours: value })));
}

/** Features are computed on one GPU. */
function fidHours({ fidSeconds, fidImages }: JobFigures, samples: number): number[] {
  return fidSeconds === undefined || !fidImages ? [] : [(fidSeconds * samples) / fidImages / 3600];
}

/** The projection as a Markdown table: hours for 1, 8 and 64 GPUs, all of them calculated. */
export function projectionTable(figures: JobFigures, gpus: readonly number[] = [1, 8, 64]): string {
  const columns = gpus.map((count) => projectImageNet(figures, count));
  const parts = columns[0].map(({ part }, index) =>
    line([part, ...columns.map((column) => `${written(column[index].hours)} h`)]),
  );
  return [
    line(['calculated', ...gpus.map((count) => `${count} GPU${count === 1 ? '' : 's'}`)]),
    line(['---', ...gpus.map(() => '---')]),
    ...parts,
  ].join('\n');
}
