/** Programs across processes, on XLA's CPU client with gloo. */
import { describe, expect, it } from 'vitest';
import { jaxlibPython } from './jaxlib-executor.js';
import { startGroup } from './process-group.js';
import type { ProgramsTask } from './programs-member.js';

const start = (tasks: ProgramsTask[]) => startGroup(new URL('./programs-member.ts', import.meta.url), tasks);

describe.skipIf(!jaxlibPython())('programs across processes', () => {
  it('run on the devices of all, and each process computes by itself in between', { timeout: 120_000 }, async () => {
    const group = await start([
      { devices: 2, constant: 1 },
      { devices: 2, constant: 1 },
    ]);
    const results = await Promise.all(group.map(({ result }) => result));
    const mean = (0 + 1 + 10 + 11) / 4 + 1;
    const common = { deviceCount: 4, means: Array(2).fill([mean, mean]), oneForAll: Array(2).fill(100 + 2 * mean) };
    expect(results).toEqual([
      { ...common, alone: null },
      { ...common, alone: 9 },
    ]);
  });

  it('are refused in all processes when one has made another program', { timeout: 120_000 }, async () => {
    const group = await start([
      { devices: 1, constant: 1 },
      { devices: 1, constant: 1 },
      { devices: 1, constant: 2 },
    ]);
    for (const { exit, output } of group) {
      expect((await exit).code).toBe(1);
      expect(output()).toMatch(
        /jit: process 2 made another step than process 0\. its StableHLO module \(SHA-256 \w{12}, in process 0 \w{12}\) differs/,
      );
    }
  });
});
