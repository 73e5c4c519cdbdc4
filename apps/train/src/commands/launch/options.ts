import { integer, list, type Overrides, resolve, text, toggle, UsageError, type Values } from '@tb/command-line';

export const launchOptions = {
  hosts: list('hosts of the job, which are reached by ssh; process 0 runs on the first one', {
    placeholder: 'a,b,…',
    defaultText: 'this machine',
  }),
  processes: integer('processes on each host: one for all of its GPUs, or one per GPU', {
    min: 1,
    max: 1024,
    default: 1,
  }),
  restarts: integer('how often to start all processes again after a failure, from the last checkpoint', {
    max: 1_000_000,
    default: 0,
  }),
  shrink: toggle('start again on the remaining hosts when a host cannot be reached', { default: false }),
  coordinator: text('name or address of the first host, as the other hosts reach it', {
    placeholder: 'host',
    defaultText: 'its name in --hosts',
  }),
  port: integer('port of the coordinator', { min: 1, max: 65_535, defaultText: 'one between 61440 and 65535' }),
  ssh: text('how hosts are reached', { placeholder: 'command', default: 'ssh' }),
  folder: text('working folder on the hosts', { placeholder: 'folder', defaultText: 'this one' }),
  program: text('what starts tb-train on the hosts', { placeholder: 'command', defaultText: 'the path of this one' }),
  env: list('variables of this shell that the processes get too, besides TB_…, NCCL_… and XLA_FLAGS', 'NAME,…'),
};

export type LaunchValues = Values<typeof launchOptions>;

/** @throws UsageError when an option does nothing, or a host cannot be one */
export function resolveLaunch(flags: Overrides<typeof launchOptions>): LaunchValues {
  const values = resolve(launchOptions, flags);
  const { hosts } = values;
  const bad = hosts?.find((host) => !/^[\w.@:-]+$/.test(host) || host.startsWith('-'));
  if (bad !== undefined) throw new UsageError(`--hosts must be names or addresses, got ${JSON.stringify(bad)}`);
  if (hosts && new Set(hosts).size < hosts.length)
    throw new UsageError('--hosts names a host twice: --processes is the number of processes on each');
  if (!hosts && flags.shrink) throw new UsageError('--shrink does nothing without --hosts');
  if (!hosts && values.processes === 1)
    throw new UsageError('--hosts or --processes is needed: one process on this machine needs no launcher');
  return values;
}
