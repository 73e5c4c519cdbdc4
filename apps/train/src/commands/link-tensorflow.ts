import { tableCommand, text, toggle, UsageError } from '@tb/command-line';

export const linkOptions = {
  python: text('Python whose TensorFlow is linked', 'command'),
  gpu: toggle('link only if TensorFlow runs on a GPU'),
  cpu: toggle('link for the CPU'),
};

export const linkTensorflowCommand = tableCommand(
  'link-tensorflow',
  linkOptions,
  { python: 'python3' },
  async (flags) => {
    const { gpu, cpu, python } = flags;
    if (gpu && cpu) throw new UsageError('--gpu and --cpu exclude each other');
    const { linkTensorflow } = await import('@tb/runtime/tensorflow');
    const device = gpu ? 'gpu' : cpu ? 'cpu' : undefined;
    await linkTensorflow({ python, device, onProgress: (line) => console.error(line) });
  },
)
  .description("Build the TensorFlow backend against a Python's installed TensorFlow")
  .addHelpText(
    'after',
    `
Example:
  pip install "tensorflow[and-cuda]"
  tb-train link-tensorflow --gpu
  tb-train model --backend tensorflow --device gpu --config own-images --data my-images --vae runs/my-vae`,
  );
