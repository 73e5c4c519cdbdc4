import { describe, expect, it } from 'vitest';
import type { ImageSource } from '../data/image-source.js';
import { compareData, describeImages, type TrainedOn } from './trained-on.js';

const run: TrainedOn = { classNames: ['cat', 'dog'], imageSize: 64, vaeSha256: 'a'.repeat(64), images: 10, names: 'x' };

describe('compareData', () => {
  it.each<[string, TrainedOn, object]>([
    ['equal data', { ...run }, {}],
    [
      'a class with another name',
      { ...run, classNames: ['aardvark', 'cat'] },
      { classes: { before: 'cat, dog', now: 'aardvark, cat' } },
    ],
    [
      'classes in another order',
      { ...run, classNames: ['dog', 'cat'] },
      { classes: { before: 'cat, dog', now: 'dog, cat' } },
    ],
    [
      'one more class',
      { ...run, classNames: ['cat', 'dog', 'eel'] },
      { classes: { before: 'cat, dog', now: 'cat, dog, eel' } },
    ],
    [
      'a class whose name has commas',
      { ...run, classNames: ['cat, dog'] },
      { classes: { before: 'cat, dog', now: 'cat, dog' } },
    ],
    [
      'another autoencoder',
      { ...run, vaeSha256: 'b'.repeat(64) },
      { vae: { before: 'aaaaaaaaaaaa', now: 'bbbbbbbbbbbb' } },
    ],
    ['another size', { ...run, imageSize: 32 }, { imageSize: { before: '64 × 64', now: '32 × 32' } }],
    ['one image less', { ...run, images: 9, names: 'y' }, { images: { before: '10 images', now: '9 images' } }],
    ['as many other images', { ...run, names: 'y' }, { images: { before: 'others', now: 'others' } }],
    ['weights that state nothing', {}, {}],
  ])('compares a run with %s', (_, now, changes) => {
    expect(compareData(run, now)).toEqual({
      classes: undefined,
      vae: undefined,
      imageSize: undefined,
      images: undefined,
      ...changes,
    });
  });

  it('takes names in another Unicode form for the same names', () => {
    const [composed, decomposed] = ['caf\u00e9', 'cafe\u0301'];
    expect(compareData({ classNames: [composed] }, { classNames: [decomposed] }).classes).toBeUndefined();
  });

  it('shows the names around the first that differs of many', () => {
    const names = Array.from({ length: 1000 }, (_, label) => `c${label}`);
    const { classes } = compareData({ classNames: names }, { classNames: names.with(500, 'x') });
    expect(classes?.now).toBe('…, c499, x, c501, c502, c503, c504, c505, c506, … (1000 classes)');
    expect(compareData({ classNames: names }, { classNames: names.slice(1) }).classes?.now).toMatch(
      /^c1, c2, .*\(999 classes\)$/,
    );
    expect(compareData({ classNames: names }, { classNames: names.slice(0, -1) }).classes?.before).toMatch(
      /c998, c999 \(1000/,
    );
  });
});

describe('describeImages', () => {
  const source = (paths: string[], labels = paths.map(() => 0)) =>
    ({
      length: paths.length,
      labelOf: (index) => labels[index],
      requestOf: (index) => ({ path: paths[index], size: 8, crop: 'centre', mirror: false }),
    }) as Partial<ImageSource> as ImageSource;

  it('does not depend on where the folder is, nor on the Unicode form of names', () => {
    const here = describeImages(source(['data/a/1.png', 'data/\u00e9/2.png']), './data');
    expect(here).toEqual(describeImages(source(['/mnt/x/a/1.png', '/mnt/x/e\u0301/2.png']), '/mnt/x'));
    expect(here).toMatchObject({ images: 2, names: expect.stringMatching(/^[0-9a-f]{64}$/) });
  });

  it('changes with names, order and labels', () => {
    const all = [
      source(['d/a', 'd/b']),
      source(['d/b', 'd/a']),
      source(['d/a', 'd/c']),
      source(['d/a', 'd/b'], [0, 1]),
      source(['d/a', 'd/b', 'd/b']),
    ].map((images) => JSON.stringify(describeImages(images, 'd')));
    expect(new Set(all).size).toBe(5);
  });
});
