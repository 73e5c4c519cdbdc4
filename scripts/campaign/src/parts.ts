import { faults } from './faults/faults.js';
import { kill } from './kill/kill.js';
import type { Part } from './part.js';

/** All parts, in the order in which they run. A new part needs an entry here and nothing else. */
export const parts: readonly Part[] = [kill, faults];
