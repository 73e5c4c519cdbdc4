import { integer, number, type Overrides, resolve, toggle, type Values } from '@tb/command-line';

export const inspectOptions = {
  levels: integer('quantization levels B of the report on a latent cache', { min: 2, max: 65536, default: 64 }),
  range: number('quantization range of that report, 5 for [-5, 5]', { min: 0.01, max: 1e6, default: 5 }),
  samples: integer('images of a latent cache to measure', { min: 1, default: 1000 }),
  tensors: toggle('list every tensor', { default: true }),
  json: toggle('print JSON', { default: false }),
};

export type InspectValues = Values<typeof inspectOptions>;

export const resolveInspect = (flags: Overrides<typeof inspectOptions>): InspectValues =>
  resolve(inspectOptions, flags);
