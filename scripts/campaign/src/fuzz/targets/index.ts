import type { TargetOpener } from '../target.js';
import { evaluationTargets } from './evaluations.js';
import { folderTargets } from './folders.js';
import { formatTargets } from './formats.js';
import { imageTargets } from './images.js';

/** Everything that is read from files which other people may have made. */
export const targets: readonly TargetOpener[] = [
  ...formatTargets,
  ...imageTargets,
  ...folderTargets,
  ...evaluationTargets,
];
