import { tableCommand } from '@tb/command-line';
import { launchOptions, resolveLaunch } from './options.js';

export const launchCommand = tableCommand('launch', launchOptions, async (flags, command) => {
  const values = resolveLaunch(flags);
  const { launch } = await import('./run.js');
  await launch(values, command);
})
  .argument('<command...>', 'after --: a command of tb-train with its options, or another program')
  .description('Start a command as several processes, on this machine or on hosts that ssh reaches')
  .addHelpText(
    'after',
    `
For hosts without a scheduler; inside of SLURM, Open MPI, Kubernetes or torchrun,
the commands find out by themselves which process they are. All hosts need the
same version of tb-train and see the same files under the same names. ssh must
not ask for a password.

Output has the number of its process in front. When a process fails, all end.
With --restarts, all start again, from the last checkpoint if there is one.
Ctrl-C or SIGTERM reaches all processes, which save and end.

Examples:
  tb-train launch --processes 2 -- model --data images --vae runs/vae --backend xla
  tb-train launch --hosts node1,node2 --restarts 10 --shrink -- \\
      model --preset large --cache runs/cache --devices 8 --out runs/large
  tb-train launch --processes 4 -- tb-sample generate --count 50 --out samples`,
  );
