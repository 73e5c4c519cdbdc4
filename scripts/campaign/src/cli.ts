import { runProgram } from '@tb/command-line';
import { program } from './command.js';

await runProgram(program);
