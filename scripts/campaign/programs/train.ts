// Trains four numbers, so that a run takes a second and nearly all of it is checkpoints. Resumes where there is one.
//
//   train.js <run folder> <steps> wait|background
import { runProgram, tableCommand } from '@tb/command-line';
import { disposeTree, useBackend } from '@tb/runtime';
import { createRunLog, openRun, train } from '@tb/trainer';
import { toyOptions, toyTask } from '../../../packages/trainer/test/toy-task.js';

const program = tableCommand('train', {}, async (_, [out, steps, saving]) => {
  const inBackground = saving === 'background';
  await useBackend('cpu');
  const options = toyOptions(out, {
    steps: Number(steps),
    resume: (await openRun(out).newestCheckpoint()) !== undefined,
    checkpointEvery: 1,
    lossDelay: inBackground ? 3 : 0,
    saveInBackground: inBackground,
  });
  const log = createRunLog({ out, title: 'campaign', config: {}, terminal: process.stderr });
  const { state } = await train(toyTask(), options, log);
  disposeTree(state);
});
await runProgram(program.argument('<paths...>')); // a failure is one sentence, as in the commands
