/** `tb-train` in several processes, with devices of XLA's CPU client in place of GPUs. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSafetensors, toFloat32 } from '@tb/io';
import { expectClose } from '@tb/test-utils';
import { readRecords } from '@tb/trainer';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { freePort } from '../../../packages/xla/test/free-port.js';
import { jaxlibPython } from '../../../packages/xla/test/jaxlib-executor.js';
import { makeImages } from './make-images.js';
import { startCommand } from './run-command.js';

const root = mkdtempSync(join(tmpdir(), 'tb-train-processes-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const images = join(root, 'images');
const small = [
  ...['features', '--data', images, '--image-size', '32', '--batch', '4', '--threads', '1'],
  ...['--backend', 'xla', '--device', 'cpu', '--precision', 'fp32', '--warmup-steps', '0'],
];

const lossesOf = (out: string) =>
  readRecords(join(out, 'log.jsonl'))
    .filter(({ event }) => event === 'step')
    .map(({ loss }) => Number(loss));

async function weightsOf(out: string): Promise<number[]> {
  const { tensors } = await readSafetensors(join(out, 'features.safetensors'));
  return Object.values(tensors).flatMap((tensor) => [...toFloat32(tensor)]);
}

describe.skipIf(!jaxlibPython())('tb-train in several processes', { timeout: 240_000 }, () => {
  beforeAll(async () => {
    await makeImages(images, 4);
    const tsx = createRequire(import.meta.url).resolve('tsx');
    const preload = fileURLToPath(new URL('../../../packages/xla/test/use-jaxlib.ts', import.meta.url));
    vi.stubEnv('NODE_OPTIONS', `--conditions=@tb/source --import=${tsx} --import=${preload}`);
  });
  afterAll(() => vi.unstubAllEnvs());

  it('trains in two processes as in one, and resumes in one', async () => {
    const [alone, together] = [join(root, 'alone'), join(root, 'together')];
    const expected = startCommand([...small, '--steps', '4', '--out', alone]).finished;
    const both = ['launch', '--processes', '2', '--', ...small, '--steps', '4', '--out', together];
    const stopped = await startCommand([...both, '--checkpoint-every', '2']).finished;
    expect(stopped.stderr).toContain('[0] batch: 4 images per update, 2 on each of 2 devices of 2 processes');
    expect(stopped.code).toBe(0);
    expect((await expected).code).toBe(0);
    expectClose(lossesOf(together), lossesOf(alone), 1e-5, 'losses');
    expectClose(await weightsOf(together), await weightsOf(alone), 1e-5, 'weights');
    expect(readdirSync(join(together, 'checkpoints'))).toEqual(['step-00000002', 'step-00000004']);
    const resumed = await startCommand(['features', '--out', together, '--resume', '--steps', '5']).finished;
    expect(resumed.code).toBe(0);
    expect(lossesOf(together)).toHaveLength(5);
  });

  it('ends all processes with 143 after SIGTERM to one of them, and saves once', async () => {
    const out = join(root, 'stopped');
    const port = await freePort();
    const own = (index: number) => [
      '--process',
      String(index),
      '--processes',
      '2',
      '--coordinator',
      `127.0.0.1:${port}`,
    ];
    const group = [0, 1].map((index) => startCommand([...small, '--steps', '100000', '--out', out, ...own(index)]));
    const timer = setInterval(() => {
      if (lossesOf(out).length < 3) return;
      clearInterval(timer);
      group[1].child.kill('SIGTERM');
    }, 50);
    const ends = await Promise.all(group.map(({ finished }) => finished));
    clearInterval(timer);
    expect(ends.map(({ code }) => code)).toEqual([143, 143]);
    expect(ends[0].stderr).toContain('continue with --resume');
    const [checkpoint, ...others] = readdirSync(join(out, 'checkpoints'));
    expect(others).toEqual([]);
    expect(checkpoint).toBe(`step-${String(lossesOf(out).length).padStart(8, '0')}`);
  });
});
