import { tableCommand, withDefaults } from '@tb/command-line';
import { demoDefaults } from '../options/defaults.js';
import { demoOptions } from '../options/tables.js';

export const demoCommand = tableCommand('demo', demoOptions, demoDefaults, async (flags) => {
  const { runDemo } = await import('../runs/run-demo.js');
  await runDemo(withDefaults(demoDefaults, flags));
})
  .description('Reconstruct, generate, measure and train a little with the weights that come along; minutes on a CPU')
  .addHelpText('after', '\nExample:\n  tb-train demo --backend wasm');
