import { mkdir, mkdtemp, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeImage } from '@tb/images';
import { readNpz, readSafetensors, withContentHash, writeSafetensors } from '@tb/io';
import { openSampleFolder } from '@tb/metrics';
import { useBackend } from '@tb/runtime';
import { testBackends } from '@tb/test-utils';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommand, startCommand } from './run-command.js';
import { writeTinyWeights } from './tiny-weights.js';

const pixelsOf = async (folder: string, file: string) => (await decodeImage(join(folder, file))).data;

describe.each(testBackends)('tb-sample generate on %s', (backend) => {
  let root: string;
  let weights: { model: string; vae: string };
  const generate = (...args: string[]) => runCommand('generate', '--backend', backend, ...args);

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'tb-sample-'));
    await useBackend(backend);
    weights = await writeTinyWeights(join(root, 'weights'));
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  it('generates the same images at any batch size, resumes, and writes overview and evaluator file', async () => {
    const [first, second] = [join(root, 'first'), join(root, 'second')];
    const grid = join(root, 'grid.png');
    const npz = join(root, 'images.npz');
    const common = ['--model', weights.model, '--seed', '5', '--count', '2'];
    const whole = ['--out', first, '--batch', '4', '--grid', grid, '--npz', npz];
    const one = await startCommand(['generate', '--backend', backend, ...common, ...whole]).finished;
    const other = await generate(...common, '--out', second, '--batch', '1', '--classes', 'Tabby cat,0');
    expect(one).toMatchObject({ code: 0, stdout: expect.stringContaining('6 images') });
    expect(other).toMatchObject({ code: 0, stdout: expect.stringContaining('4 images') });
    const files = (await readdir(first)).sort();
    expect(files).toHaveLength(6);
    expect(files[0]).toBe('class-0000-000000.png');
    for (const file of await readdir(second)) expect(await pixelsOf(second, file)).toEqual(await pixelsOf(first, file));
    expect(await pixelsOf(first, files[0])).not.toEqual(await pixelsOf(first, files[1]));

    // The evaluator's file holds the folder's images, the first of every class before the second of any.
    const { arr_0: array } = await readNpz(npz);
    expect(array).toMatchObject({ dtype: 'U8', shape: [6, 16, 16, 3] });
    expect((array.data as Uint8Array).subarray(768, 1536)).toEqual(await pixelsOf(first, 'class-0001-000000.png'));
    expect(JSON.parse(await readFile(join(root, 'images.json'), 'utf8'))).toMatchObject({ seed: 5, pictures: 6 });

    // @tb/metrics finds the settings of all images, without what each has for itself.
    const { settings } = await openSampleFolder(first);
    expect(settings).toMatchObject({ seed: 5, numIter: 4, model: { sha256: expect.any(String) } });
    expect(settings).not.toHaveProperty('pictureSeed');
    // It reports which weights it uses, and files that are passed on do not reveal where they are on this computer.
    expect(one.stderr).toMatch(/^model .*model\.safetensors: 3 classes$/m);
    expect(one.stderr).toMatch(/^autoencoder .*vae\.safetensors$/m);
    for (const file of [join(first, files[0]), grid, join(root, 'images.json')])
      expect((await readFile(file)).toString('latin1')).not.toContain(root);
    expect(settings).toMatchObject({ model: { file: 'model.safetensors' }, vae: { file: 'vae.safetensors' } });
    const { width, height } = await decodeImage(grid);
    expect([width > 2 * 120, height > 3 * 120]).toEqual([true, true]);

    // A damaged and a missing image are made again, the others are left alone.
    const before = await pixelsOf(first, files[2]);
    await writeFile(join(first, files[2]), (await readFile(join(first, files[2]))).subarray(0, -20));
    await rm(join(first, files[3]));
    const again = await generate(...common, '--out', first);
    expect(again).toMatchObject({ code: 0, stderr: expect.stringContaining('4 of 6 images are there already') });
    expect(await pixelsOf(first, files[2])).toEqual(before);
    expect(await readdir(first)).toHaveLength(6);
    await rm(join(first, files[3]));
    await mkdir(join(first, files[3]));
    expect((await generate(...common, '--out', first)).stderr).toMatch(
      /class-\d+-\d+\.png cannot be (read|used): a folder has that name/,
    );
    await rmdir(join(first, files[3]));

    const different = await generate(
      '--model',
      weights.model,
      '--count',
      '9',
      '--seed',
      '5',
      '--cfg',
      '4',
      '--out',
      first,
    );
    expect(different.code).toBe(1);
    expect(different.stderr).toMatch(/made with other settings: cfg \(3 there, 4 here\)/);
    await writeFile(join(first, 'holiday.jpg'), '');
    expect((await generate(...common, '--out', first)).stderr).toMatch(/images that are not from tb-sample \(holiday/);
  });

  it('shares the images among processes, also after one of them was killed', { timeout: 60_000 }, async () => {
    const [alone, together] = [join(root, 'alone'), join(root, 'together')];
    const common = ['--model', weights.model, '--seed', '3', '--count', '4', '--batch', '2'];
    expect((await generate(...common, '--out', alone, '--npz', join(root, 'alone.npz'))).code).toBe(0);
    const npz = join(root, 'together.npz');
    const args = ['generate', '--backend', backend, ...common, '--out', together, '--npz', npz];
    const start = (index: number) => startCommand([...args, '--processes', '2', '--process', String(index)]);
    const first = start(0);
    const killed = start(1);
    while (!(await readdir(together).catch(() => [])).some((name) => name.startsWith('class-')))
      await new Promise((resolve) => setTimeout(resolve, 20));
    killed.child.kill('SIGKILL');
    await killed.finished;
    const refused = await generate(...common, '--out', together);
    expect(refused.stderr).toMatch(/--out .*together is in use: process /);
    const second = await start(1).finished;
    expect(second).toMatchObject({ code: 0, stderr: expect.stringContaining('6 of 12 images in ') });
    const merged = await first.finished;
    expect(merged).toMatchObject({ code: 0, stdout: expect.stringContaining('12 images in ') });
    expect(merged.stderr).toMatch(/^options: process 0 of 2 \(numbered from 0\)$/m);
    expect((await readdir(together)).sort()).toEqual((await readdir(alone)).sort());
    expect((await readNpz(npz)).arr_0.data).toEqual((await readNpz(join(root, 'alone.npz'))).arr_0.data);
    expect((await generate(...common, '--processes', '2', '--process', '0')).stderr).toMatch(/--out is needed/);
  });

  it('leaves only finished images when it is interrupted', async () => {
    const folder = join(root, 'interrupted');
    const args = ['generate', '--backend', backend, '--model', weights.model, '--out', folder, '--count', '2000'];
    const { child, finished } = startCommand([...args, '--batch', '2']);
    while ((await readdir(folder).catch(() => [])).length < 2) await new Promise((resolve) => setTimeout(resolve, 50));
    child.kill('SIGINT');
    const { code, stderr } = await finished;
    expect([code, stderr]).toEqual([130, expect.stringContaining('finished images are kept')]);
    const files = await readdir(folder);
    expect(files.length).toBeLessThan(6000);
    for (const file of files) expect((await pixelsOf(folder, file)).length).toBe(768);
  });

  it('reports mistakes in one sentence', async () => {
    const damaged = join(root, 'damaged.safetensors');
    await writeFile(damaged, (await readFile(weights.model)).subarray(0, 5000));
    const other = join(root, 'other-vae.safetensors');
    const { tensors, metadata } = await readSafetensors(weights.vae);
    await writeSafetensors(other, tensors, { metadata: withContentHash(tensors, { ...metadata, imageSize: '32' }) });
    const changed = join(root, 'changed-vae.safetensors');
    const bytes = await readFile(weights.vae);
    bytes[bytes.length - 1] ^= 1;
    await writeFile(changed, bytes);
    const model = ['--model', weights.model];
    const cases: [string[], RegExp][] = [
      [[...model, '--class-names', root], /--class-names .* cannot be read: a folder has that name/],
      [['--model', root, '--model-config', other], /--model-config does nothing for a run of tb-train such as /],
      [[...model, '--count', '100000000000'], /--count must be an integer from 1 to 1000000, got/],
      [['--model', join(root, 'nowhere')], /--model .*nowhere does not exist/],
      [
        ['--model', damaged],
        /damaged\.safetensors cannot be read: it is damaged, incomplete or of another kind \(byte \d+: /,
      ],
      [['--model', weights.vae], /holds an autoencoder, not a TokenBridge model/],
      [[...model, '--vae', changed], /changed-vae\.safetensors cannot be read: .*does not have the SHA-256/],
      [[...model, '--vae', other], /is not the autoencoder that .* was trained with.*--any-vae/],
      [[...model, '--classes', 'tabby cta'], /no class is named "tabby cta"; did you mean "tabby cat"\?/],
      [[...model, '--classes', '1,3'], /the model has the classes 0 to 2, got "3"/],
      [[...model, '--order', 'spiral'], /--order must be one of random, raster, confidence, got "spiral"/],
      [[...model, '--count', '0'], /--count must be an integer from 1 to 1000000, got "0"/],
      [[...model, '--npz', 'a.npz'], /--npz needs --out/],
      [[...model, '--grid', 'a.jpg'], /--grid must name a file that ends with \.png, got "a\.jpg"/],
      [
        [...model, '--out', join(weights.model, 'below')],
        /--out .* cannot be written: a file has the name of one of its folders/,
      ],
      [[...model, '--raw'], /--raw chooses between the two sets of weights/],
    ];
    for (const [args, message] of cases) {
      const { code, stderr } = await generate(...args);
      expect(stderr).toMatch(message);
      expect(stderr).not.toMatch(/\n\s+at /); // no stack
      expect(code).toBe(1);
    }
    const unknown = await generate('--modle', 'x');
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringMatching(/'--modle'\n\(Did you mean --model\?\)/) });
  });
});
