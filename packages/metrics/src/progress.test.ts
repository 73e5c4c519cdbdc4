import { expect, it } from 'vitest';
import { createProgressLine } from './progress.js';

function record(isTTY: boolean) {
  const clock = { now: 0 };
  const written: string[] = [];
  const stream = { isTTY, write: (text: string) => written.push(text) };
  return { clock, written, line: createProgressLine(stream, () => clock.now) };
}

it('draws one line anew on a terminal, with speed and time left', () => {
  const { clock, written, line } = record(true);
  line.show('samples', 10, 100);
  clock.now = 5_000;
  line.show('samples', 60, 100);
  line.stage('Fréchet distance');
  line.end();
  expect(written).toEqual([
    '\r\x1b[2Ksamples  [##----------------------]  10/100 images',
    '\r\x1b[2Ksamples  [##############----------]  60/100 images  10.0 images/s  1 min left',
    '\n',
    '\r\x1b[2Kcomputing: Fréchet distance',
    '\n',
  ]);
});

it('writes a line at the start, every half minute and at the end elsewhere', () => {
  const { clock, written, line } = record(false);
  for (let done = 10; done <= 100; done += 10) {
    line.show('reference', done, 100);
    clock.now += 8_000;
  }
  line.end();
  expect(written.map((text) => /\d+\/\d+/.exec(text)?.[0])).toEqual(['10/100', '50/100', '90/100', '100/100']);
  expect(written.every((text) => text.endsWith('\n') && !text.includes('\r'))).toBe(true);
});
