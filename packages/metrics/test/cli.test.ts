import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeSafetensors } from '@tb/io';
import { formulaWeights, goldenJson, goldenPath } from '@tb/test-utils';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const cli = fileURLToPath(new URL('../src/cli.ts', import.meta.url));

type Outcome = { code: number; stdout: string; stderr: string };

function tbMetrics(...args: string[]): Promise<Outcome> {
  const flags = ['--import', 'tsx', '--conditions=@tb/source', cli, ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, flags, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

describe('tb-metrics', () => {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'tb-metrics-cli-'));
    await writeSafetensors(join(root, 'weights.safetensors'), formulaWeights(goldenJson('inception', 'weights.json')));
    for (const [i, left] of [0, 64, 128, 192].entries()) {
      const crop = sharp(goldenPath('crop', 'chelsea_256.png')).extract({ left, top: 64, width: 64, height: 64 });
      await writeFile(join(root, `${i}.png`), await crop.png().toBuffer());
    }
  });
  afterAll(() => rm(root, { recursive: true }));

  it('evaluates a folder with Inception-v3 from files to a JSON report', async () => {
    const report = join(root, 'report.json');
    const weights = ['--weights', join(root, 'weights.safetensors'), '--allow-other-weights'];
    const flags = [...weights, '--backend', 'wasm', '--resamples', '0', '--json', report];
    const { code, stdout, stderr } = await tbMetrics('fid', root, root, ...flags);
    expect(stderr).toMatch(/weights .*SHA-256 [0-9a-f]{64}/);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^FID +0\.0000/);
    expect(stdout).toMatch(/warning: only 4 samples/);
    const json = JSON.parse(await readFile(report, 'utf8'));
    expect(json).toMatchObject({ distanceName: 'FID', samples: { count: 4 }, manifold: { precision: 1, recall: 1 } });
    expect(json.frechetDistance).toBeLessThan(1e-6);
    expect(json.weightsHash).toMatch(/^[0-9a-f]{64}$/);
  });

  it('says what to download when the weights are missing', async () => {
    const { code, stderr } = await tbMetrics(
      'fid',
      root,
      root,
      '--weights',
      join(root, 'none.pth'),
      '--backend',
      'cpu',
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(/none\.pth does not exist[\s\S]*Download https:[\s\S]*91 MB, SHA-256 begins with 6726825d/);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  it('refuses weights with another hash, unknown flags and senseless values', async () => {
    const other = await tbMetrics(
      'fid',
      root,
      root,
      '--weights',
      join(root, 'weights.safetensors'),
      '--backend',
      'cpu',
    );
    expect(other.stderr).toMatch(/SHA-256 .* must begin with 6726825d/);
    const unknown = await tbMetrics('fid', root, root, '--bach', '3');
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringMatching(/unknown option '--bach'[\s\S]*--batch/) });
    const senseless = await tbMetrics('fid', root, root, '--batch', '0');
    expect(senseless.stderr).toMatch(/must be an integer of at least 1/);
  });
});
