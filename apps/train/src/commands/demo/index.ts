import { tableCommand } from '@tb/command-line';
import { demoOptions, resolveDemo } from './options.js';

export const demoCommand = tableCommand('demo', demoOptions, async (flags) => {
  const { runDemo } = await import('./run.js');
  await runDemo(resolveDemo(flags));
})
  .description('Reconstruct, generate, measure and train a little with the bundled weights; takes minutes on a CPU')
  .addHelpText('after', '\nExample:\n  tb-train demo --backend wasm');
