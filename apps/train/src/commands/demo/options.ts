import { backendOptions, integer, number, type Overrides, omit, resolve, text, type Values } from '@tb/command-line';

export const demoOptions = {
  ...omit(backendOptions, 'precision'),
  weights: text('folder with vae.safetensors, model.safetensors and features.safetensors', {
    placeholder: 'folder',
    defaultText: 'the bundled weights',
  }),
  out: text('folder for the images and the report', { placeholder: 'folder', default: 'runs/demo' }),
  steps: integer('updates that teach the model a new class', { min: 1, default: 24 }),
  seed: integer('seed of the generated images', { max: 2 ** 32 - 1, default: 1 }),
  numIter: integer('sampling steps per image', { min: 1, default: 16 }),
  cfg: number('guidance scale; 1 means no guidance', { min: 1, default: 3 }),
  judged: integer('generated images to judge, including those that are shown; 0 for none', { default: 30 }),
};

export type DemoValues = Values<typeof demoOptions>;

export const resolveDemo = (flags: Overrides<typeof demoOptions>): DemoValues => resolve(demoOptions, flags);
