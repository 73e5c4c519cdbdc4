import { expect, it } from 'vitest';
import { program } from './program.js';

const helpOf = (name: string) => program.commands.find((command) => command.name() === name)!.helpInformation();

it.each([
  ['features', ['draw-every', 'half']],
  ['eval', ['flip', 'precision']],
  ['cache', ['flip', 'precision']],
  ['demo', ['precision']],
])('does not offer with %s what does nothing there', (command, names) => {
  for (const name of names) expect(helpOf(command)).not.toContain(`--${name}`);
});

it('shows in the help of eval what its crops default to', () => {
  const help = helpOf('eval').replace(/\s+/g, ' ');
  expect(help).toMatch(/--crop-scale-min <number> [^-]*\(default: 0\.25\)/);
  expect(help).toMatch(/--crop-scale-max <number> [^-]*\(default: 0\.6\)/);
  expect(help).toMatch(/--crops-per-photograph <integer> [^-]*\(default: 1000\)/);
  expect(help).toMatch(/--held-out <number> [^-]*\(default: 0\.25\)/);
  expect(help).toMatch(
    /--image-size <integer> [^-]*--data to compare with \[8 to 4096\] \(default: that of the generated ones\)/,
  );
});
