import { faults } from './faults/faults.js';
import { fuzz } from './fuzz/fuzz.js';
import { hostile } from './hostile/hostile.js';
import { kill } from './kill/kill.js';
import type { Part } from './part.js';
import { soak } from './soak/soak.js';

/** All parts, in the order in which they run. A new part needs an entry here and nothing else. */
export const parts: readonly Part[] = [kill, faults, fuzz, hostile, soak];
