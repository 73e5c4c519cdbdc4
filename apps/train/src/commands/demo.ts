import { engineOptions, integer, mergeValues, number, tableCommand, text, type ValuesOf } from '@tb/command-line';

const demoOptions = {
  ...engineOptions,
  weights: text('folder with vae.safetensors, model.safetensors and features.safetensors', 'folder'),
  out: text('folder for the pictures and the report', 'folder'),
  steps: integer('training steps to show', { min: 1 }),
  seed: integer('seed of the generated pictures'),
  numIter: integer('steps in which a picture is generated', { min: 1 }),
  cfg: number('guidance scale', { min: 1 }),
  judged: integer('generated pictures to judge, those that are shown among them; 0 for none'),
};

const demoDefaults = {
  backend: 'auto',
  out: 'runs/demo',
  steps: 24,
  seed: 1,
  numIter: 16,
  cfg: 3,
  judged: 30,
} as const;

export type DemoValues = ValuesOf<typeof demoOptions>;

export const demoCommand = tableCommand('demo', demoOptions, demoDefaults, async (flags) => {
  const { runDemo } = await import('../runs/run-demo.js');
  await runDemo(mergeValues<typeof demoOptions>(demoDefaults, flags));
})
  .description('Reconstruct, generate, measure and train a little with the weights that come along; minutes on a CPU')
  .addHelpText('after', '\nExample:\n  tb-train demo --backend wasm');
