import { tableCommand } from '@tb/command-line';
import { doctorOptions, resolveDoctor } from './options.js';

export const doctorCommand = tableCommand('doctor', doctorOptions, async (flags) => {
  const { runDoctor } = await import('./run.js');
  await runDoctor(resolveDoctor(flags));
})
  .description('Check which backends run on this machine, and show how to get the others')
  .addHelpText('after', '\nExample:\n  tb-train doctor --device gpu');
