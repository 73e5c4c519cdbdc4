import { describe, expect, it } from 'vitest';
import { openCheckpoint, readCheckpoint, readStateDict } from './checkpoint.js';
import { CheckpointTensor, PickledObject } from './pickle-values.js';
import { fixtureBytes, fixtureNames, fixturePath } from './testing/fixtures.js';

const weight = { dtype: 'F32', shape: [2], data: Float32Array.of(1, 2) };
const namesOf = (except: string[]) => fixtureNames('sound').filter((name) => !except.includes(name));

it.each(namesOf(['whole-module.pth', 'complex-weight.pth']))(
  'reads the weights of %s, whatever is next to them',
  async (name) => {
    const path = fixturePath(`sound/${name}`);
    expect(await readStateDict(path, 'model')).toEqual({ weight });
    const checkpoint = await openCheckpoint(path);
    expect(await checkpoint.load('model', 'weight')).toEqual(weight);
    await checkpoint.load();
    await checkpoint.close();
  },
);

describe('what is next to weights', () => {
  // biome-ignore lint/suspicious/noExplicitAny: the structure of each fixture is known to its test.
  const neighbour = async (name: string): Promise<any> =>
    ((await readCheckpoint(fixturePath(`sound/${name}.pth`))) as { extra: unknown }).extra;

  it.each([
    ['enum', '__main__.Precision', ['bf16']],
    ['path-of-3.13', 'pathlib._local.PosixPath', ['runs', 'one']],
    ['namespace', 'types.SimpleNamespace', []],
    ['deque', 'collections.deque', [[], 20]],
    ['class-names', 'numpy.ndarray', [[2], 'U3']],
    ['objects', 'numpy.ndarray', [[2], 'O8']],
    ['storage', 'torch.storage.UntypedStorage', [12]],
    ['typed-storage', 'torch.FloatStorage', [3]],
  ])('is kept as data: %s', async (name, className, constructorArguments) => {
    const value = await neighbour(name);
    expect(value).toBeInstanceOf(PickledObject);
    expect(value).toMatchObject({ className, constructorArguments });
  });

  it('is a value where JavaScript has it', async () => {
    expect(await neighbour('numpy-text')).toBe('caté');
    expect(await neighbour('float16')).toBe(1.5);
    expect(await neighbour('bytes-name')).toBe('caf\udce9'); // a name that is not UTF-8, as Python holds it
    expect((await neighbour('deque')).items).toEqual([1]);
  });

  it.each([
    ['complex', 'C64', [3], 'save torch.view_as_real(tensor)'],
    ['float8', 'F8_E4M3', [4], 'save it as tensor.float()'],
    ['sparse', 'F32', [3, 3], 'save tensor.to_dense()'],
    ['sparse-rows', 'F32', [3, 3], 'save tensor.to_dense()'],
    ['quantized', 'qint8', [2], 'save tensor.dequantize()'],
    ['meta', 'F32', [3], 'save the model after its weights were loaded'],
    ['negated', 'F32', [2], 'save tensor.resolve_neg()'],
    ['legacy-quantized', 'qint8', [2], 'save tensor.dequantize()'],
    ['legacy-complex', 'C64', [3], 'save torch.view_as_real(tensor)'],
  ])('is a tensor that only fails when it is read: %s', async (name, dtype, shape, advice) => {
    const tensor = await neighbour(name);
    expect(tensor).toBeInstanceOf(CheckpointTensor);
    expect(tensor).toMatchObject({ dtype, shape });
    await expect(tensor.read()).rejects.toMatchObject({
      name: 'FileFormatError',
      isSound: true,
      reason: expect.stringContaining(advice),
    });
  });
});

it('names the weight that cannot be read, and what to do', async () => {
  await expect(readStateDict(fixturePath('sound/complex-weight.pth'), 'model')).rejects.toThrow(
    /complex-weight\.pth: tensor "freqs" holds complex numbers \(C64\), .*save torch\.view_as_real/,
  );
});

it('reports what to save in place of a module', async () => {
  const path = fixturePath('sound/whole-module.pth');
  const reason = 'is an object of the class torch.nn.modules.linear.Linear: save its state_dict() instead';
  await expect(readStateDict(path, 'model')).rejects.toThrow(`the checkpoint ${reason}`);
  await expect(readStateDict(path)).rejects.toThrow('the checkpoint is not a state dict, but an object of the class');
});

it('reads an archive in which PyTorch left out the checksums, and reports so', async () => {
  const path = fixturePath('sound/without-checksums.pth');
  const checkpoint = await openCheckpoint(path);
  expect(checkpoint.hasChecksums).toBe(false);
  await checkpoint.close();
  const checked = await openCheckpoint(fixturePath('sound/enum.pth'));
  expect(checked.hasChecksums).toBe(true);
  await checked.close();
  const legacy = await openCheckpoint(fixturePath('sound/legacy-enum.pth'));
  expect(legacy.hasChecksums).toBe(false);
  await legacy.close();
});

it('takes the checksums of an archive seriously as soon as one of them is not 0', async () => {
  const bytes = fixtureBytes('sound/enum.pth');
  const view = new DataView(bytes.buffer);
  // All checksums become 0 but that of the last member of the directory.
  const directory = Buffer.from(bytes);
  const places: number[] = [];
  for (let at = directory.indexOf('PK\x01\x02'); at >= 0; at = directory.indexOf('PK\x01\x02', at + 1)) places.push(at);
  for (const at of places.slice(0, -1)) view.setUint32(at + 16, 0, true);
  await expect(readCheckpoint(bytes)).rejects.toThrow(/checksum/);
});

describe('calls of unknown functions', () => {
  const enumeration = fixturePath('sound/enum.pth');

  it('can all be refused, with the option that reads the file', async () => {
    await expect(readCheckpoint(enumeration, { unknownCalls: 'refuse' })).rejects.toMatchObject({
      reason: expect.stringMatching(/^global __main__\.Precision is not on the allow-list: .*'keep-harmless'/),
      isSound: true,
    });
    await readCheckpoint(fixturePath('sound/path-of-3.13.pth'), { unknownCalls: 'refuse' });
  });

  it('are refused where they would run code, without calling the file damaged', async () => {
    const error = await readCheckpoint(fixturePath('hostile-system.pth')).catch((thrown) => thrown);
    expect(error.reason).toMatch(/posix\.system .* Nothing was run; do not load the file in Python$/);
    expect(error.reason).not.toMatch(/damaged/);
  });
});
