import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { lossChart } from './chart.js';
import { crc32c } from './crc32c.js';
import { appendRecord, readRecords, truncateRecords } from './json-lines.js';
import { renderReport } from './report.js';
import { createRunLog, formatTrainingStatus } from './run-log.js';
import { createEventFile } from './tensorboard.js';

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
  it('reports an unreadable image in one line, whatever its name', () => {
    const out = newFolder();
    const printed: string[] = [];
    const log = createRunLog({ out, title: 'run', config: {}, terminal: { write: (text) => printed.push(text) } });
    const bad = { path: 'cat\n\u001b[2J.png', reason: 'damaged' };
    log.badImage(bad);
    expect(printed).toEqual(['skipped unreadable image 1: cat\\n\\u001b[2J.png: damaged\n']);
    expect(readRecords(join(out, 'log.jsonl'))).toMatchObject([bad]);
  });

  it('begins with what was found among the images', async () => {
    const out = newFolder();
    const log = createRunLog({ out, title: 'run', config: {}, terminal: { write: () => {} } });
    log.found('2 classes, 4 images; left out: 10 .bmp files');
    await log.begin({ step: 0, retries: 0, smoothedLoss: null, seconds: 0, seed: 0, config: {} }, 12);
    const [first] = readRecords(join(out, 'log.jsonl'));
    expect(first).toMatchObject({ event: 'begin', images: '2 classes, 4 images; left out: 10 .bmp files' });
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

  it('skips lines that are not records', async () => {
    const path = join(newFolder(), 'log.jsonl');
    const others = [
      'null',
      '[1]',
      '3',
      '"step"',
      '{}',
      '{"event":"step"}',
      '{"event":7,"step":1}',
      '{"event":"step","step":"1"}',
    ];
    writeFileSync(path, [...others, '{"event":"step","step":1}', '{"event":"st'].join('\n'));
    expect(readRecords(path)).toEqual([{ event: 'step', step: 1 }]);
    await truncateRecords(path, 2);
    expect(readFileSync(path, 'utf8')).toBe('{"event":"step","step":1}\n');
  });

  it('names the path of what is in the way', async () => {
    const out = newFolder();
    const log = () => createRunLog({ out, title: 'run', config: {}, terminal: { write: () => {} } });
    const begin = () => log().begin({ step: 0, retries: 0, smoothedLoss: null, seconds: 0, seed: 0, config: {} }, 12);
    mkdirSync(join(out, 'log.jsonl'));
    await expect(begin()).rejects.toThrow(/log\.jsonl cannot be read: a folder has that name/);
    await expect(log().report()).rejects.toThrow(/log\.jsonl cannot be read: a folder has that name/);
    rmSync(join(out, 'log.jsonl'), { recursive: true });
    rmSync(join(out, 'samples'), { recursive: true });
    writeFileSync(join(out, 'samples'), '');
    await expect(begin()).rejects.toThrow(/samples cannot be made: a file has that name/);
    mkdirSync(join(out, 'report.html'));
    await expect(log().report()).rejects.toThrow(/report\.html cannot be written: a folder has that name/);
  });
});

describe('the report of a run', () => {
  const png = Buffer.from('\x89PNG\r\n\x1a\nthe rest', 'latin1');

  it('embeds sample images of the run and nothing else, whatever the log names', async () => {
    const folder = newFolder();
    const out = join(folder, 'run');
    mkdirSync(join(out, 'samples'), { recursive: true });
    const name = (step: number) => `samples/step-${String(step).padStart(8, '0')}.png`;
    writeFileSync(join(out, name(1)), png);
    const secret = Buffer.concat([png, Buffer.from('secret')]);
    writeFileSync(join(folder, 'secret.png'), secret);
    writeFileSync(join(out, 'secret.png'), secret);
    writeFileSync(join(out, name(2)), 'secret, not an image');
    symlinkSync(join(folder, 'secret.png'), join(out, name(3)));
    mkdirSync(join(out, name(4)));
    const files = [
      name(1),
      '../secret.png',
      join(folder, 'secret.png'),
      'secret.png',
      name(2),
      name(3),
      name(4),
      name(5),
    ];
    const odd = [
      'samples/../../secret.png',
      'samples/step-1.png',
      `./${name(1)}`,
      '',
      null,
      7,
      { length: 1 },
      [name(1)],
    ];
    const record = (file: unknown) => JSON.stringify({ event: 'picture', step: 1, file });
    writeFileSync(join(out, 'log.jsonl'), [...files, ...odd].map(record).join('\n'));
    const log = createRunLog({ out, title: 'run', config: {}, terminal: { write: () => {} } });
    const html = readFileSync(await log.report(), 'utf8');
    expect([...html.matchAll(/base64,([\w+/=]+)/g)].map(([, data]) => Buffer.from(data, 'base64'))).toEqual([png]);

    rmSync(join(out, 'samples'), { recursive: true });
    mkdirSync(join(folder, 'elsewhere'));
    writeFileSync(join(folder, 'elsewhere', 'step-00000001.png'), secret);
    symlinkSync(join(folder, 'elsewhere'), join(out, 'samples'));
    expect(readFileSync(await log.report(), 'utf8')).not.toContain('base64,');
  });

  it('shows the images of the last steps, newest first', async () => {
    const out = newFolder();
    const log = createRunLog({ out, title: 'run', config: {}, terminal: { write: () => {} } });
    await log.begin({ step: 0, retries: 0, smoothedLoss: null, seconds: 0, seed: 0, config: {} }, 12);
    for (let step = 1; step <= 8; step++)
      await log.image(step, { width: 1, height: 1, data: Uint8Array.of(step, 0, 0) });
    const html = readFileSync(await log.report(), 'utf8');
    expect([...html.matchAll(/<h2>Step (\d)</g)].map(([, step]) => step)).toEqual(['8', '7', '6', '5', '4', '3']);
  });
});

describe('formatTrainingStatus', () => {
  it('reports where the run is, and how long it takes', () => {
    const status = { steps: 9, loss: 1, smoothedLoss: 2, learningRate: 1e-4, imagesPerSecond: 3, secondsLeft: 65 };
    expect(formatTrainingStatus({ ...status, step: 2 })).toBe(
      'step 2/9  loss 1.0000 (smoothed 2.0000)  lr 1.00e-4  3.0 images/s  1m05s left',
    );
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
    [
      [1e-5, 1.004e-5],
      ['1.0000e-5', '1.0010e-5', '1.0020e-5', '1.0030e-5', '1.0040e-5'],
    ],
    [[1e-5, 1e-5], ['1.0e-5']],
  ])('labels its axis from %j so that no two ticks look alike', ([low, high], ticks) => {
    const points = [low, ...Array.from({ length: 99 }, () => high)].map((y, x) => ({ x, y }));
    const labels = [...lossChart([{ points, colour: 'red' }]).matchAll(/text-anchor="end">([^<]+)</g)];
    expect(labels.slice(0, -1).map(([, text]) => text)).toEqual(ticks);
  });
});

describe('renderReport', () => {
  it('draws the losses, embeds the images and escapes what others wrote', () => {
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
      images: [{ title: 'samples', png: Uint8Array.of(1, 2, 3) }],
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
