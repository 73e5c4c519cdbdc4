import { describe, expect, it } from 'vitest';
import { jobTable, projectImageNet, projectionTable } from './job-projection.js';

const figures = {
  cacheImagesPerSecond: 1000,
  trainImagesPerSecond: 200,
  sampleImagesPerSecond: 20,
  fidSeconds: 100,
  fidImages: 5000,
};

describe('projectImageNet', () => {
  it('divides the work by the measured rates, and among GPUs with the efficiency of training', () => {
    expect(projectImageNet(figures, 1)).toEqual([
      { part: 'cache', hours: 1_281_167 / 1000 / 3600 },
      { part: 'training, 800 epochs', hours: (1_281_167 * 800) / 200 / 3600 },
      { part: '50,000 samples', hours: 50_000 / 20 / 3600 },
      { part: 'FID', hours: 1000 / 3600 },
    ]);
    const [cache, training, samples, fid] = projectImageNet(figures, 8, 0.5);
    expect(training.hours).toBeCloseTo((1_281_167 * 800) / (200 * 8 * 0.5) / 3600);
    expect([cache.hours, samples.hours, fid.hours]).toEqual([
      1_281_167 / 8000 / 3600,
      50_000 / 160 / 3600,
      1000 / 3600,
    ]);
  });

  it('leaves out what was not measured', () => {
    expect(projectImageNet({ sampleImagesPerSecond: 20 }, 64).map(({ part }) => part)).toEqual(['50,000 samples']);
  });
});

describe('the tables', () => {
  it('hold what was measured, and what is calculated from it', () => {
    expect(jobTable(figures).split('\n').slice(2)).toEqual([
      '| `tb-train cache`, image and mirror image | 1,000 images/s |',
      '| `tb-train model`, from the cache | 200 images/s |',
      '| `tb-sample generate`, many images, with PNG files | 20 images/s |',
      '| `tb-metrics fid` of 5,000 PNG files | 100 s |',
    ]);
    expect(projectionTable({ sampleImagesPerSecond: 20 }).split('\n')).toEqual([
      '| calculated | 1 GPU | 8 GPUs | 64 GPUs |',
      '| --- | --- | --- | --- |',
      '| 50,000 samples | 0.694 h | 0.0868 h | 0.0109 h |',
    ]);
  });
});
