import type { FeatureExtractor } from '../src/evaluation/feature-extractor.js';

/** A network by its facts only, for files that name one: it computes nothing. */
export const threeNumbers: FeatureExtractor = {
  name: 'three numbers',
  weightsHash: 'w'.repeat(64),
  distanceName: 'distance',
  dimensions: 3,
  spatialDimensions: 2,
  classes: 4,
  extract: () => {
    throw new Error('not used');
  },
};
