import { runProgram } from '@tb/command-line';
import { program } from './program.js';

await runProgram(program);
