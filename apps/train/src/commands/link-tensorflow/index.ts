import { tableCommand } from '@tb/command-line';
import { linkOptions, resolveLink } from './options.js';

export const linkTensorflowCommand = tableCommand('link-tensorflow', linkOptions, async (flags) => {
  const values = resolveLink(flags);
  const { link } = await import('./run.js');
  await link(values);
})
  .description('Build the TensorFlow backend against the TensorFlow of a Python installation')
  .addHelpText(
    'after',
    `
Example:
  pip install "tensorflow[and-cuda]"
  tb-train link-tensorflow --gpu
  tb-train model --data images --vae runs/vae --backend tensorflow --device gpu`,
  );
