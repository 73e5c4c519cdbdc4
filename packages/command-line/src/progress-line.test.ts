import { createStatusLine, excludeFromSpeed, formatDuration, printMessage } from '@tb/io';
import { describe, expect, it } from 'vitest';
import { createProgressLine } from './progress-line.js';

function terminalOf(isTTY: boolean, columns?: number) {
  const terminal = { isTTY, columns, text: '', write: (more: string) => (terminal.text += more) };
  return terminal;
}

describe('createStatusLine', () => {
  it('rewrites itself on a terminal, and never wraps', () => {
    const terminal = terminalOf(true, 90);
    const line = createStatusLine(terminal);
    line.show('x'.repeat(100));
    expect(terminal.text).toBe(`\r\x1b[2K${'x'.repeat(89)}`);
    line.print('message');
    expect(terminal.text.endsWith(`\r\x1b[2Kmessage\n${'x'.repeat(89)}`)).toBe(true);
  });
});

describe('createProgressLine', () => {
  it('prints an ordinary line now and then where there is no terminal, with the speed of what is new', () => {
    const terminal = terminalOf(false);
    let time = 0;
    const line = createProgressLine(terminal, () => time);
    for (const [seconds, done] of [
      [0, 40],
      [4, 50],
      [11, 61.5],
      [12, 62],
      [20, 100],
    ]) {
      time = seconds * 1000;
      line.show(done, 100);
    }
    line.end();
    expect(terminal.text.split('\n')).toEqual([
      '40/100 images',
      '61/100 images  2.0 images/s  20s left',
      '100/100 images  3.0 images/s  0s left',
      '',
    ]);
  });

  it('leaves time out of the speed that was excluded from it, and shows messages above the line', () => {
    const terminal = terminalOf(true);
    let time = 0;
    const line = createProgressLine(terminal, () => time);
    line.show(0, 100);
    printMessage('compiling trainStep');
    time = 62_000;
    excludeFromSpeed(60);
    line.show(10, 100);
    expect(terminal.text.split('\r\x1b[2K').slice(1)).toEqual([
      '0/100 images',
      'compiling trainStep\n0/100 images',
      '10/100 images  5.0 images/s  18s left',
    ]);
    line.end();
    printMessage('no line is shown', terminal);
    expect(terminal.text.endsWith('left\nno line is shown\n')).toBe(true);
  });

  it('starts another line for other work', () => {
    const terminal = terminalOf(true);
    let time = 0;
    const line = createProgressLine(terminal, () => time);
    line.show(10, 100, 'samples');
    time = 5_000;
    line.show(60, 100, 'samples');
    line.show(5, 10, 'reference');
    line.stage('Fréchet distance');
    line.end();
    expect(terminal.text.replaceAll('\x1b[2K', '').split(/[\r\n]+/)).toEqual([
      '',
      'samples  10/100 images',
      'samples  60/100 images  10.0 images/s  4s left',
      'reference  5/10 images',
      'Fréchet distance',
      '',
    ]);
  });
});

it('prints durations in two units', () => {
  expect([3, 65, 7380, 90000].map(formatDuration)).toEqual(['3s', '1m05s', '2h03m', '1d01h']);
});
