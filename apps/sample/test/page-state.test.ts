import { describe, expect, it } from 'vitest';
import { emptyMask, paint, paintedShare } from '../page/src/edit/mask.js';
import { withChange } from '../page/src/generate/attempt.js';
import { afterEnd, afterError, afterEvent, isActive, newJob } from '../page/src/job.js';
import { afterRunEvent, chartsOf, emptyLog } from '../page/src/runs/run-log.js';
import { serverSentEvents } from '../page/src/server-sent-events.js';
import type { GenerateRequest, JobEvent, RunEvent } from '../src/page/messages.js';

const image = { width: 1, height: 1, png: '' };
const maps = { stepOfPosition: [-1], confidence: [0] };

describe('the state of a job', () => {
  const after = (...events: JobEvent[]) => events.reduce(afterEvent, newJob);

  it('follows its events', () => {
    expect(after({ type: 'queued', before: 2 })).toMatchObject({ status: 'waiting', before: 2 });
    const running = after({ type: 'started' }, { type: 'progress', known: 1, positions: 4 });
    expect(running).toMatchObject({ status: 'running', share: 0.25 });
    const preview = afterEvent(running, {
      type: 'preview',
      step: 1,
      steps: 4,
      images: [{ index: 1, image, ...maps }],
    });
    expect(preview.images).toEqual([undefined, { maps, image, finished: null }]);
    expect(afterEvent(preview, { type: 'done', seconds: 2, command: 'x' })).toMatchObject({ status: 'done', share: 1 });
  });

  it('is cancelled when it was aborted, and failed when its events end early', () => {
    const controller = new AbortController();
    expect(afterError(newJob, new Error('no'), controller.signal)).toMatchObject({ status: 'failed', message: 'no' });
    controller.abort();
    expect(isActive(afterError(newJob, new Error('no'), controller.signal))).toBe(false);
    expect(afterEnd(after({ type: 'started' })).status).toBe('failed');
    expect(afterEnd(after({ type: 'cancelled' })).status).toBe('cancelled');
  });
});

describe('the log of a run', () => {
  const after = (...events: RunEvent[]) => events.reduce(afterRunEvent, emptyLog);
  const step = (at: number, loss: number) => ({ kind: 'step', step: at, values: { loss } }) as const;

  it('collects curves in ascending steps, and the steps of sample images', () => {
    const log = after(
      { type: 'records', records: [{ kind: 'begin', step: 0, steps: 4 }, step(1, 3), step(2, 2), step(2, 9)] },
      { type: 'records', records: [{ kind: 'validation', step: 2, values: { loss: 5, psnr: 20 } }] },
      { type: 'records', records: [{ kind: 'sample', step: 2 }] },
    );
    expect(log.series.get('loss')).toEqual({ steps: [1, 2], values: [3, 2] });
    expect(log).toMatchObject({ step: 2, steps: 4, samples: [2], isFinished: false });
    const titles = chartsOf([log]).map(({ title }) => title);
    expect(titles).toEqual(['Loss', 'Validation loss', 'Validation: psnr']);
  });

  it('stays finished until it is resumed, and begins again after a reset', () => {
    const finished = after({ type: 'finished' }, { type: 'records', records: [{ kind: 'sample', step: 4 }] });
    expect(finished.isFinished).toBe(true);
    const resumed: RunEvent = { type: 'records', records: [{ kind: 'begin', step: 4, steps: 8 }] };
    expect(afterRunEvent(finished, resumed)).toMatchObject({ isFinished: false, steps: 8 });
    expect(afterRunEvent(finished, { type: 'reset' })).toBe(emptyLog);
  });
});

describe('a mask', () => {
  const grid = { height: 4, width: 4 };

  it('is painted along a stroke, and stays the same object where nothing changes', () => {
    const brush = { radius: 0.6, strength: 1 };
    const mask = paint(emptyMask(grid), grid, { x: 0.5, y: 0.5 }, { x: 3.5, y: 0.5 }, brush);
    expect(mask.slice(0, 8)).toEqual([1, 1, 1, 1, 0, 0, 0, 0]);
    expect(paintedShare(mask)).toBe(0.25);
    expect(paint(mask, grid, { x: 0.5, y: 0.5 }, { x: 1.5, y: 0.5 }, brush)).toBe(mask);
    const erased = paint(mask, grid, { x: 0.5, y: 0.5 }, { x: 0.5, y: 0.5 }, { radius: 0.1, strength: 0 });
    expect(erased.slice(0, 2)).toEqual([0, 1]);
  });
});

it('changes one thing of a request', () => {
  const request = { classes: [1], count: 2, guidance: 3, steps: 8, seed: 5, order: 'random' } as GenerateRequest;
  expect(withChange(request, 'guidance', '1.5')).toEqual({ ...request, guidance: 1.5 });
  expect(withChange(request, 'steps', '4.4')).toEqual({ ...request, steps: 4 });
  expect(withChange(request, 'class', '7')).toEqual({ ...request, classes: [7] });
  expect(withChange(request, 'order', 'raster')).toEqual({ ...request, order: 'raster' });
});

it('reads server-sent events however they are cut', async () => {
  const bytes = new TextEncoder().encode(':\n\ndata: {"a":"ä"}\n\ndata: {"a":\ndata: 2}\n\n');
  for (const length of [1, 3, bytes.length]) {
    const pieces = Array.from({ length: Math.ceil(bytes.length / length) }, (_, i) =>
      bytes.slice(i * length, (i + 1) * length),
    );
    const events: unknown[] = [];
    for await (const event of serverSentEvents(new Blob(pieces).stream())) events.push(event);
    expect(events).toEqual([{ a: 'ä' }, { a: 2 }]);
  }
  const slow = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
      controller.close();
    },
  });
  const events: unknown[] = [];
  for await (const event of serverSentEvents(slow)) events.push(event);
  expect(events).toHaveLength(2);
});
