import { join } from 'node:path';
import { writeTorchCheckpoint } from '@tb/test-utils';
import { describe, expect, it } from 'vitest';
import type { HostTensor } from './host-tensor.js';
import { MissingPartError, openWeights } from './network-weights.js';
import { writeSafetensors } from './safetensors-writer.js';
import { fixturePath, withFolder } from './testing/fixtures.js';

const tensor = (value: number): HostTensor => ({ dtype: 'F32', shape: [1], data: Float32Array.of(value) });
const network = (prefix = '', first = 1) => ({
  [`${prefix}in.weight`]: tensor(first),
  [`${prefix}blocks.0.weight`]: tensor(first + 1),
});
const anchor = 'in.weight';

type Content = Parameters<typeof writeTorchCheckpoint>[1];

async function valuesIn(path: string, part?: string) {
  const file = await openWeights(path, { anchor, part });
  try {
    const tensors = await file.read();
    const values = Object.fromEntries(Object.entries(tensors).map(([name, { data }]) => [name, data[0]]));
    return { values, prefix: file.prefix, part: file.part };
  } finally {
    await file.close();
  }
}

const asFile = (content: Content, test: (path: string) => Promise<void>) =>
  withFolder(async (folder) => {
    const path = join(folder, 'weights.pth');
    await writeTorchCheckpoint(path, content);
    await test(path);
  });

const plain = { 'in.weight': 1, 'blocks.0.weight': 2 };

describe('weights in a checkpoint', () => {
  it.each<[string, Content, string, string]>([
    ['the checkpoint itself', network(), '', ''],
    ['its part model', { model: network(), epoch: 3 }, 'model', ''],
    ['its part state_dict', { state_dict: network(), optimizer: { step: 1 } }, 'state_dict', ''],
    ['another part', { epoch: 1, generator: network() }, 'generator', ''],
    ['a part whose namesake holds something else', { model: { epoch: 1 }, net: network() }, 'net', ''],
    ['DataParallel', { model: network('module.') }, 'model', 'module.'],
    ['torch.compile', network('_orig_mod.'), '', '_orig_mod.'],
    ['both', network('module._orig_mod.'), '', '_orig_mod.module.'],
    ['a model of Lightning', { state_dict: network('model.') }, 'state_dict', 'model.'],
    [
      'latent diffusion',
      {
        state_dict: {
          ...network('model.diffusion_model.', 7),
          ...network('first_stage_model.'),
          'cond.in.weight': tensor(9),
        },
      },
      'state_dict',
      'first_stage_model.',
    ],
  ])('are found in %s', async (_, content, part, prefix) => {
    await asFile(content, async (path) => expect(await valuesIn(path)).toEqual({ values: plain, part, prefix }));
  });

  it('keep the weights of a wrapped network that lack its prefix, which no network expects', () =>
    asFile({ model: { ...network('module.'), other: tensor(5) } }, async (path) => {
      expect((await valuesIn(path)).values).toEqual({ ...plain, other: 5 });
    }));

  it('lose the name that torch.compile gave a part of the network', () =>
    asFile({ 'in.weight': tensor(1), 'blocks._orig_mod.0.weight': tensor(2) }, async (path) => {
      expect(await valuesIn(path)).toEqual({ values: plain, part: '', prefix: '_orig_mod.' });
    }));

  it('are returned as they are where none has the expected name', () =>
    asFile({ model: network('encoder.') }, async (path) => {
      expect(Object.keys((await valuesIn(path)).values)).toEqual(['encoder.in.weight', 'encoder.blocks.0.weight']);
    }));

  it('are not taken twice for one', () =>
    asFile({ ...network(), ...network('_orig_mod.') }, async (path) => {
      await expect(valuesIn(path)).rejects.toThrow('two weights are named "in.weight" without their prefixes');
    }));

  it('are taken from the part that is asked for', () =>
    asFile({ model: network('', 5), model_ema: network('module.') }, async (path) => {
      expect(await valuesIn(path, 'model_ema')).toEqual({ values: plain, part: 'model_ema', prefix: 'module.' });
      await expect(valuesIn(path, 'ema')).rejects.toThrow(MissingPartError);
      await expect(valuesIn(path, 'ema')).rejects.toThrow(`${path} has no part named "ema"`);
      const file = await openWeights(path, { anchor, part: 'model_ema' });
      expect(Object.keys(file.inPart('model')!.tensors)).toEqual(['in.weight', 'blocks.0.weight']);
      expect(file.inPart('nothing')).toBeUndefined();
      await file.close();
    }));

  it('do not suffer from what is next to them', async () => {
    const file = await openWeights(fixturePath('sound/complex-weight.pth'), { anchor: 'weight' });
    expect(file.tensors).toMatchObject({ weight: { dtype: 'F32', shape: [2] }, freqs: { dtype: 'C64', shape: [3] } });
    expect(Object.keys(await file.read(['weight']))).toEqual(['weight']);
    await expect(file.read()).rejects.toThrow('tensor "freqs" holds complex numbers');
    await expect(file.read(['none'])).rejects.toThrow('no weight is named "none"');
    await file.close();
  });
});

it('are found in safetensors alike', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'weights.safetensors');
    await writeSafetensors(
      path,
      { ...network('first_stage_model.'), ...network('model.', 3) },
      { metadata: { a: 'b' } },
    );
    const file = await openWeights(path, { anchor });
    expect(file).toMatchObject({ prefix: 'model.', part: '', metadata: { a: 'b' } });
    expect((await file.read(['in.weight']))['in.weight']!.data).toEqual(Float32Array.of(3));
    await file.close();
  }));

it('reports what to save in place of a module', async () => {
  const reason = 'holds no weights by their names, but an object of the class torch.nn.modules.linear.Linear: save its';
  await expect(openWeights(fixturePath('sound/whole-module.pth'), { anchor })).rejects.toThrow(reason);
  const inPart = openWeights(fixturePath('sound/module.pth'), { anchor, part: 'extra' });
  await expect(inPart).rejects.toThrow(
    'holds no weights by their names in "extra", but an object of the class torch.nn',
  );
});

it('names a part that is None', async () => {
  const path = fixturePath('sound/averages-none.pth');
  await expect(openWeights(path, { anchor: 'weight', part: 'model_ema' })).rejects.toMatchObject({
    part: 'model_ema',
    message: `openWeights: ${path} has no weights in "model_ema": it is None`,
  });
});
