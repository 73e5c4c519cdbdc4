import { frechetDistance, gaussianStatistics, manifoldScores } from '@tb/metrics';

// Two sets of feature vectors, one row a sample: here 200 points on a circle, and the same points shifted.
const circle = Array.from({ length: 200 }, (_, i) => [Math.cos(i), Math.sin(i)]);
const shifted = circle.map(([x, y]) => [x + 1, y]);

const distance = frechetDistance(gaussianStatistics(circle.flat(), 2), gaussianStatistics(shifted.flat(), 2));
console.log(`Fréchet distance ${distance.toFixed(6)}`); // the covariances are equal: |shift|² = 1

const { precision, recall } = manifoldScores(
  { values: shifted.flat(), dimensions: 2 },
  { values: circle.flat(), dimensions: 2 },
);
console.log(`precision ${precision}, recall ${recall}`);
