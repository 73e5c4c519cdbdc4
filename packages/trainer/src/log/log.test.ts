import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { lossChart } from './chart.js';
import { crc32c } from './crc32c.js';
import { formatDuration } from './format.js';
import { appendRecord, readRecords, truncateRecords } from './json-lines.js';
import { createProgressLine } from './progress-line.js';
import { renderReport } from './report.js';
import { createRunLog } from './run-log.js';
import { createStatusLine } from './status-line.js';
import { createEventFile } from './tensorboard.js';
import { formatTrainingStatus } from './training-status.js';

const newFolder = () => mkdtempSync(join(tmpdir(), 'tb-log-'));

describe('crc32c', () => {
  it('has the check value of the CRC catalogue', () => {
    expect(crc32c(new TextEncoder().encode('123456789'))).toBe(0xe3069283);
  });
});

describe('createEventFile', () => {
  it('writes exactly the bytes that TensorBoard reads', () => {
    const events = createEventFile(newFolder(), 7, () => 1_700_000_000_000);
    events.scalars(8, { loss: 1.5 });
    // Bytes that tensorboard 2.21 reads back as: version, session start at step 7, loss 1.5 at step 8.
    const expected = [
      '1a00000000000000129bd82d0900000040fc54d94110001a0d627261696e2e4576656e743a32e6773e1a',
      '0f000000000000006d532b090900000040fc54d94110073a0208013c4f4b07',
      '1a00000000000000129bd82d0900000040fc54d94110082a0d0a0b0a046c6f7373150000c03fa726664d',
    ];
    expect(readFileSync(events.path).toString('hex')).toBe(expected.join(''));
  });
});

describe('createRunLog', () => {
  it('tells of an unreadable image in one line, whatever its name', () => {
    const out = newFolder();
    const told: string[] = [];
    const log = createRunLog({ out, title: 'run', config: {}, terminal: { write: (text) => told.push(text) } });
    const bad = { path: 'cat\n\u001b[2J.png', reason: 'damaged' };
    log.badImage(bad);
    expect(told).toEqual(['skipped unreadable image 1: cat\\n\\u001b[2J.png: damaged\n']);
    expect(readRecords(join(out, 'log.jsonl'))).toMatchObject([bad]);
  });

  it('starts the events of a resumed run behind its last step', async () => {
    const out = newFolder();
    const log = createRunLog({ out, title: 'run', config: {}, terminal: { write: () => {} } });
    await log.begin({ step: 8, retries: 0, smoothedLoss: 1, seconds: 1, seed: 0, config: {} }, 12);
    const [events] = readdirSync(out).filter((file) => file.startsWith('events'));
    const sessionStartAtNine = '10093a020801'; // TensorBoard drops earlier events from step 9 on
    expect(readFileSync(join(out, events)).toString('hex')).toContain(sessionStartAtNine);
  });
});

describe('the JSON log', () => {
  it('drops what a resumed run writes again, and a cut-off last line', async () => {
    const path = join(newFolder(), 'log.jsonl');
    for (let step = 0; step < 4; step++) appendRecord(path, { event: 'step', step, loss: step });
    await truncateRecords(path, 2);
    expect(readRecords(path).map(({ step }) => step)).toEqual([0, 1]);
  });
});

describe('the status line', () => {
  const collect = (isTTY: boolean, columns?: number) => {
    const terminal = { isTTY, columns, text: '', write: (more: string) => (terminal.text += more) };
    return terminal;
  };

  it('rewrites itself on a terminal', () => {
    const terminal = collect(true, 90);
    const line = createStatusLine(terminal);
    const status = { steps: 9, loss: 1, smoothedLoss: 2, learningRate: 1e-4, imagesPerSecond: 3, secondsLeft: 65 };
    line.show(formatTrainingStatus({ ...status, step: 1 }));
    line.show(formatTrainingStatus({ ...status, step: 2 }));
    expect(terminal.text.split('\r')).toHaveLength(3);
    expect(terminal.text).toContain('step 2/9  loss 1.0000 (smoothed 2.0000)  lr 1.00e-4  3.0 images/s  1m05s left');
    line.show('x'.repeat(100));
    expect(terminal.text.endsWith(`\r\x1b[2K${'x'.repeat(89)}`)).toBe(true);
  });

  it('is an ordinary line now and then elsewhere, with the speed of what is new', () => {
    const terminal = collect(false);
    let time = 0;
    const line = createProgressLine(terminal, { total: 100, first: 40, now: () => time });
    for (const [seconds, done] of [
      [0, 40],
      [4, 50],
      [11, 61.5],
      [12, 62],
      [20, 100],
    ]) {
      time = seconds * 1000;
      line.show(done);
    }
    line.end();
    expect(terminal.text.split('\n')).toEqual([
      '40/100 pictures  ? images/s  ? left',
      '61/100 pictures  2.0 images/s  20s left',
      '100/100 pictures  3.0 images/s  0s left',
      '',
    ]);
  });

  it('tells durations in two units', () => {
    expect([3, 65, 7380, 90000].map(formatDuration)).toEqual(['3s', '1m05s', '2h03m', '1d01h']);
  });
});

describe('lossChart', () => {
  it.each([
    [
      [4.9987, 4.9991],
      ['4.9987', '4.9988', '4.9989', '4.999', '4.9991'],
    ],
    [
      [0, 8],
      ['0', '2', '4', '6', '8'],
    ],
    [
      [1e-6, 5e-6],
      ['1.0e-6', '2.0e-6', '3.0e-6', '4.0e-6', '5.0e-6'],
    ],
  ])('labels its axis from %j so that no two ticks look alike', ([low, high], ticks) => {
    const points = [low, ...Array.from({ length: 99 }, () => high)].map((y, x) => ({ x, y }));
    const labels = [...lossChart([{ points, colour: 'red' }]).matchAll(/text-anchor="end">([^<]+)</g)];
    expect(labels.slice(0, 5).map(([, text]) => text)).toEqual(ticks);
  });
});

describe('renderReport', () => {
  it('draws the losses, embeds the pictures and escapes what others wrote', () => {
    const records = [1, 2, 3].map((step) => ({
      event: 'step',
      step,
      loss: 3 / step,
      smoothedLoss: 2,
      learningRate: 1,
    }));
    const bad = { event: 'bad-image', step: 1, path: '<script>', reason: 'broken' };
    const html = renderReport({
      title: 'run',
      config: { steps: 3 },
      records: [...records, bad],
      pictures: [{ title: 'samples', png: Uint8Array.of(1, 2, 3) }],
      tables: [{ title: 'Measured', heads: ['', 'ours'], rows: [['a < b', '1']], note: 'rough' }],
    });
    expect(html.match(/<polyline/g)).toHaveLength(3);
    expect(html).toContain('data:image/png;base64,AQID');
    expect(html).toContain(
      '<h2>Measured</h2><table><tr><th></th><th>ours</th></tr><tr><td>a &lt; b</td><td>1</td></tr></table><p>rough</p>',
    );
    expect(html).not.toContain('<script>');
    expect(html).not.toMatch(/(src|href)="http/);
  });
});
