/** What a backend reached, by name: GFLOP/s (`…Gflops`) or milliseconds (`…Ms`). */
export type Figures = Record<string, number>;

/** The better of each figure over all runs: the largest rate, the shortest time; to three digits. */
export function fastest(runs: readonly Figures[]): Figures {
  const names = new Set(runs.flatMap((figures) => Object.keys(figures)));
  return Object.fromEntries(
    Array.from(names, (name) => {
      const values = runs.flatMap((figures) => figures[name] ?? []);
      const best = name.endsWith('Gflops') ? Math.max(...values) : Math.min(...values);
      return [name, Number(best.toPrecision(3))];
    }),
  );
}

const columns = {
  matrixProductGflops: '1024² matrix product, GFLOP/s',
  convolutionGflops: '3×3 convolution, GFLOP/s',
  trainStepMs: 'training step, ms',
  sampledImageMs: 'sampled image, ms',
  sampledImageFirstMs: 'the same, first batch, ms',
};

/** The table of docs/backends.md. */
export function markdownTable(rows: Readonly<Record<string, { engine: string; figures: Figures }>>): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const names = Object.keys(columns);
  const cell = (value?: number) => (value === undefined ? '–' : value.toLocaleString('en'));
  return [
    line(['backend', ...Object.values(columns)]),
    line(['---', ...names.map(() => '---')]),
    ...Object.entries(rows).map(([name, { engine, figures }]) =>
      line([`${name} (${engine})`, ...names.map((column) => cell(figures[column]))]),
    ),
  ].join('\n');
}
