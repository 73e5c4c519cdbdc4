import { Command } from 'commander';
export const evaluateCommand = new Command('evaluate');
