#!/usr/bin/env node
import { runProgram } from '@tb/command-line';
import { program } from './commands/program.js';

await runProgram(program);
