import { engineOptions, tableCommand, text } from '@tb/command-line';

export const doctorOptions = {
  device: engineOptions.device,
  python: text('Python whose TensorFlow is looked at (default: the linked one, else python3)', 'command'),
};

export const doctorCommand = tableCommand('doctor', doctorOptions, {}, async (flags) => {
  const { runDoctor } = await import('../runs/run-doctor.js');
  await runDoctor(flags);
})
  .description('Say which engines run here, why the others do not, and which command mends that')
  .addHelpText('after', '\nExample:\n  tb-train doctor --device gpu');
