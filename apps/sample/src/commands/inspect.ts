import { integer, number, type Resolved, tableCommand, toggle, type ValuesOf, withDefaults } from '@tb/command-line';

const inspectOptions = {
  levels: integer('quantization levels B of the report on a latent cache', { min: 2, max: 65536 }),
  range: number('quantization range of that report: 5 stands for [-5, 5]', { min: 0.01, max: 1e6 }),
  samples: integer('pictures of a latent cache to measure', { min: 1 }),
  tensors: toggle('list every tensor'),
  json: toggle('print JSON'),
};

const inspectDefaults = {
  levels: 64,
  range: 5,
  samples: 1000,
  tensors: true,
  json: false,
} as const satisfies ValuesOf<typeof inspectOptions>;

export type InspectValues = Resolved<ValuesOf<typeof inspectOptions>, typeof inspectDefaults>;

export const inspectCommand = tableCommand('inspect', inspectOptions, inspectDefaults, async (flags, [path]) => {
  const { inspect } = await import('../runs/inspect.js');
  await inspect(path, withDefaults(inspectDefaults, flags));
})
  .argument(
    '<path>',
    'weights (.safetensors, .pth, .ckpt), run or checkpoint of tb-train, latent cache, code file, .npz, picture',
  )
  .description('Say what a file or folder holds; of a latent cache, how the quantizer fits it')
  .addHelpText(
    'after',
    `
Examples:
  tb-sample inspect runs/model/model.safetensors --no-tensors
  tb-sample inspect tokenbridge_l.pth
  tb-sample inspect runs/cache --levels 16 --range 3
  tb-sample inspect pictures/class-0207-000000.png
  tb-sample inspect runs/model --json | jq .facts`,
  );
