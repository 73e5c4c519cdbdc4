import { appendFile, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeImage, encodePng } from '@tb/images';
import { useBackend } from '@tb/runtime';
import { testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JobEvent, ModelInfo, RunEvent, RunList, UploadedImage } from '../src/page/messages.js';
import { allEvents, ask, eventsOf, post, startTestServer, upload } from './page-server.js';

let server: Awaited<ReturnType<typeof startTestServer>>;
let folder: string;
let tensors: number;
const photograph = await encodePng({
  width: 40,
  height: 32,
  data: Uint8Array.from({ length: 3840 }, (_, i) => i % 251),
});

beforeAll(async () => {
  await useBackend(testBackend);
  folder = await mkdtemp(join(tmpdir(), 'tb-serve-'));
  await mkdir(join(folder, 'group/run'), { recursive: true });
  tensors = tf.memory().numTensors;
  server = await startTestServer({ runs: folder });
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true });
  expect(server.errors).toEqual([]);
  expect(tf.memory().numTensors).toBe(tensors);
});

const settings = {
  guidance: 2,
  guidanceSchedule: 'linear',
  temperature: 1,
  steps: 4,
  order: 'random',
  seed: 3,
  count: 1,
  previewEvery: 2,
} as const;
const typesOf = (events: readonly JobEvent[]) => events.map(({ type }) => type);
/** Takes seconds unless it is stopped. */
const long = { ...settings, steps: 16, classes: [0, 1], count: 20, previewEvery: 1 };

describe('jobs', () => {
  it('send their events, and images whose file, seed and command are those of tb-sample generate', async () => {
    const answer = await post(server.address, 'api/generate', { ...settings, classes: [2, 1] });
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    const events = await allEvents<JobEvent>(answer);
    const progress = Array(4).fill('progress');
    progress.splice(2, 0, 'preview');
    expect(typesOf(events)).toEqual(['started', ...progress, 'image', 'image', 'done']);
    expect(events.at(-1)).toMatchObject({
      command:
        "tb-sample generate --model 'it'\\''s mine' --classes 2,1 --count 1 --cfg 2 --cfg-schedule linear " +
        '--temperature 1 --num-iter 4 --order random --seed 3 --out samples',
    });
    for (const event of events)
      if (event.type === 'image') expect((await decodeImage(Buffer.from(event.image.png, 'base64'))).width).toBe(16);
  });

  it('are cancelled by closing the answer, and others follow', async () => {
    const controller = new AbortController();
    const answer = await post(server.address, 'api/generate', long, controller.signal);
    for await (const { type } of eventsOf<JobEvent>(answer)) if (type === 'preview') break;
    controller.abort();
    const next = await allEvents<JobEvent>(await post(server.address, 'api/generate', { ...settings, classes: [0] }));
    expect(next.at(-1)?.type).toBe('done');
  });

  it('wait in a queue with a bound, and report their place', async () => {
    const controllers = Array.from({ length: 4 }, () => new AbortController());
    const answers = await Promise.all(
      controllers.map(({ signal }) => post(server.address, 'api/generate', long, signal)),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const refused = await post(server.address, 'api/generate', { ...settings, classes: [0] });
    expect([refused.status, (await refused.json()).message]).toEqual([429, expect.stringContaining('too many jobs')]);
    const firsts = await Promise.all(answers.map(async (answer) => (await eventsOf<JobEvent>(answer).next()).value));
    const places = firsts.map((event) => (event?.type === 'queued' ? event.before : -1));
    expect(places.toSorted((a, b) => a - b)).toEqual([-1, 0, 1, 2]);
    for (const controller of controllers) controller.abort();
    await expect
      .poll(async () => (await post(server.address, 'api/generate', { ...settings, classes: [0] })).status)
      .toBe(200);
  });

  it('end at their limit of time, and when the server stops', async () => {
    const limited = await startTestServer({ service: { timeLimit: 0.05 } });
    const events = await allEvents<JobEvent>(await post(limited.address, 'api/generate', long));
    expect(events.at(-1)).toMatchObject({ type: 'failed', message: expect.stringContaining('limit of 0.05 seconds') });
    await limited.close();

    const stopped = await startTestServer();
    const answer = await post(stopped.address, 'api/generate', long);
    const seen: JobEvent[] = [];
    let closing: Promise<void> | undefined;
    for await (const event of eventsOf<JobEvent>(answer)) {
      seen.push(event);
      if (event.type === 'started') closing = stopped.close();
    }
    expect(seen.at(-1)).toEqual({ type: 'failed', message: 'tb-sample serve was stopped' });
    await closing;
    await expect(ask(stopped.address, '/')).rejects.toThrow();
  });
});

describe('images that are sent', () => {
  it('are cut, reconstructed and edited', async () => {
    const answer = await upload(server.address, photograph);
    const { id, width, height, square } = (await answer.json()) as UploadedImage;
    expect([width, height, square.width, square.height]).toEqual([40, 32, 16, 16]);
    const request = { image: id, levels: 8, range: 3 };
    const [started, reconstruction, done] = await allEvents<JobEvent>(
      await post(server.address, 'api/reconstruct', request),
    );
    expect([started.type, done.type]).toEqual(['started', 'done']);
    expect(done).toMatchObject({ command: 'tb-sample reconstruct image.png --levels 8 --ranges 3' });
    expect(reconstruction).toMatchObject({ type: 'reconstruction', levels: 8, original: square });

    const mask = Array.from({ length: 16 }, (_, position) => position % 2);
    const edit = { ...settings, source: { image: id }, mask, label: 1 };
    const events = await allEvents<JobEvent>(await post(server.address, 'api/edit', edit));
    const image = events.find((event) => event.type === 'image')!;
    expect(image.stepOfPosition.map((step) => (step === -2 ? 0 : 1))).toEqual(mask);
  });

  it('are kept for a while, and then forgotten', async () => {
    const forgetful = await startTestServer({ uploads: { kept: 1 } });
    const ids: string[] = [];
    for (let i = 0; i < 2; i++)
      ids.push(((await (await upload(forgetful.address, photograph)).json()) as UploadedImage).id);
    const status = async (image: string) =>
      (await post(forgetful.address, 'api/reconstruct', { image, levels: 8, range: 3 })).status;
    expect([await status(ids[0]), await status(ids[1])]).toEqual([404, 200]);
    await forgetful.close();
  });

  it('are given up after a while, and the next one gets another thread', async () => {
    const hasty = await startTestServer({ uploads: { seconds: 0.001 } });
    const answer = await upload(hasty.address, photograph);
    expect([answer.status, (await answer.json()).message]).toEqual([413, expect.stringContaining('takes too long')]);
    await hasty.close();
  });
});

it('the model, its classes and their images are described', async () => {
  const info = (await (await fetch(new URL('api/model', server.address))).json()) as ModelInfo;
  expect(info).toMatchObject({ classes: [{ name: 'brick' }, {}, {}], hasRuns: true, limits: { images: 40 } });
  const image = await ask(server.address, '/api/classes/1.png');
  expect([image.status, image.headers['content-type']]).toEqual([200, 'image/png']);
  expect((await ask(server.address, '/api/classes/2.png')).status).toBe(404);
  const asset = await ask(server.address, '/assets/page-abcdefgh.js');
  expect([asset.status, asset.headers['cache-control']]).toEqual([200, 'private, max-age=31536000, immutable']);
  const again = await ask(server.address, '/', { headers: { 'if-none-match': '"1"' } });
  expect([again.status, again.body.length]).toEqual([304, 0]);
});

it('a run is followed to its end, and from its beginning when it resumes', async () => {
  const log = join(folder, 'group/run/log.jsonl');
  const line = (record: object) => `${JSON.stringify({ time: '2026-01-01', ...record })}\n`;
  await writeFile(
    log,
    line({ event: 'begin', step: 0, steps: 3 }) + line({ event: 'step', step: 1, loss: 2, note: 'x' }),
  );
  const { runs } = (await (await fetch(new URL('api/runs', server.address))).json()) as RunList;
  expect(runs).toMatchObject([{ name: 'group/run', step: 1, steps: 3, isFinished: false }]);
  const controller = new AbortController();
  const { signal } = controller;
  const events = eventsOf<RunEvent>(await fetch(new URL(`api/runs/${runs[0].id}/events`, server.address), { signal }));
  const next = async () => (await events.next()).value;
  const begin = { kind: 'begin', step: 0, steps: 3 };
  const first = { kind: 'step', step: 1, values: { loss: 2 } };
  expect(await next()).toEqual({ type: 'records', records: [begin, first] });

  const half = line({ event: 'validation', step: 3, loss: 1.5 });
  await appendFile(log, `{"event":"bad-image","step":2,"path":"/secret"}\nnot JSON\n${half.slice(0, 20)}`);
  await appendFile(log, `${half.slice(20)}${line({ event: 'picture', step: 3, file: '../../x' })}`);
  expect(await next()).toEqual({
    type: 'records',
    records: [
      { kind: 'validation', step: 3, values: { loss: 1.5 } },
      { kind: 'sample', step: 3 },
    ],
  });
  expect(await next()).toEqual({ type: 'finished' });

  await writeFile(`${log}.new`, line({ event: 'begin', step: 0, steps: 9 }));
  await rename(`${log}.new`, log);
  expect(await next()).toEqual({ type: 'reset' });
  expect(await next()).toEqual({ type: 'records', records: [{ ...begin, steps: 9 }] });
  controller.abort();
});
