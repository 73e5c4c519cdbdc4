import { Command } from 'commander';
export const reconstructCommand = new Command('reconstruct');
