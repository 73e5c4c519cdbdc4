import { describe, expect, it } from 'vitest';
import { type Figures, fastest, markdownTable } from './fastest.js';

describe('fastest', () => {
  it('takes the largest rate and the shortest time, of the runs that have them', () => {
    const runs: Figures[] = [
      { matrixProductGflops: 90.123, trainStepMs: 1931.4 },
      { matrixProductGflops: 70, trainStepMs: 1502 },
      { matrixProductGflops: 80 },
    ];
    expect(fastest(runs)).toEqual({ matrixProductGflops: 90.1, trainStepMs: 1500 });
  });
});

describe('markdownTable', () => {
  it('has a row for each backend, and a dash for what was not measured', () => {
    const figures = { matrixProductGflops: 0.13, convolutionGflops: 0.14 };
    const wasm = { ...figures, trainStepMs: 5020, sampledImageMs: 810, sampledImageFirstMs: 830 };
    const table = markdownTable({
      wasm: { engine: 'WebAssembly', figures: wasm },
      cpu: { engine: 'plain JavaScript', figures },
    });
    const [, , first, second] = table.split('\n');
    expect(first).toBe('| wasm (WebAssembly) | 0.13 | 0.14 | 5,020 | 810 | 830 |');
    expect(second).toBe('| cpu (plain JavaScript) | 0.13 | 0.14 | – | – | – |');
  });
});
