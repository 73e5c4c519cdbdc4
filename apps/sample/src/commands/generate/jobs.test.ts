import { describe, expect, it } from 'vitest';
import { listJobs, parseClasses, seedOf } from './jobs.js';

const labelsOf = (value: string, names: readonly string[] = [], count = names.length) =>
  parseClasses(value.split(','), count, names).map(({ label }) => label);

describe('parseClasses', () => {
  const animals = ['cat', 'Cat', 'tabby cat', 'dog, small', 'caf\u00e9'];
  // Folders named by numbers are in the order of their names as texts: 10 comes before 2.
  const digits = ['0', '1', '10', '2'];

  it.each<[string, readonly string[], number[]]>([
    ['all', animals, [0, 1, 2, 3, 4]],
    ['0,2-3', animals, [0, 2, 3]],
    ['cat', animals, [0]],
    ['Cat', animals, [1]],
    ['TABBY CAT', animals, [2]],
    ['dog, small', animals, [3]],
    ['dog,small,cat', animals, [3, 0]],
    ['cat,dog, small,1', animals, [0, 3, 1]],
    ['cafe\u0301', animals, [4]],
    ['CAFE\u0301', animals, [4]],
    ['2', digits, [2]],
    ['=2', digits, [3]],
    ['=10,3', digits, [2, 3]],
    ['0-3', digits, [0, 1, 2, 3]],
    ['=all', ['all', 'none'], [0]],
    ['=7', ['=7', '7'], [0]],
  ])('reads %s', (value, names, labels) => {
    expect(labelsOf(value, names)).toEqual(labels);
  });

  it.each<[string, readonly string[], RegExp]>([
    ['tabby cta', animals, /no class is named "tabby cta"; did you mean "tabby cat"\?/],
    ['cat,cat', animals, /--classes names cat twice/],
    ['0-9', animals, /the model has the classes 0 to 4, got "0-9"$/],
    ['3-1', animals, /the model has the classes 0 to 4, got "3-1"$/],
    ['10', digits, /the model has the classes 0 to 3, got "10"; =10 is the class of that name/],
    ['=5', digits, /no class is named "=5"/],
  ])('refuses %s', (value, names, message) => {
    expect(() => labelsOf(value, names)).toThrow(message);
  });

  it('distinguishes names that differ in their form alone, and does not choose between them', () => {
    const forms = ['caf\u00e9', 'cafe\u0301', 'Ｃat', 'dog', 'DOG'];
    expect(labelsOf('caf\u00e9,cafe\u0301', forms)).toEqual([0, 1]);
    expect(labelsOf('cat', forms)).toEqual([2]); // in letters of another width
    expect(() => labelsOf('Dog', forms)).toThrow('"Dog" is the name of 2 classes; their numbers are 3, 4');
    expect(() => labelsOf('CAFE\u0301', forms)).toThrow('is the name of 2 classes; their numbers are 0, 1');
  });

  it('reads a thousand classes at once', () => {
    const names = Array.from({ length: 1000 }, (_, label) => `class ${label}, of many`);
    const labels = Array.from(names, (_, label) => label);
    const start = performance.now();
    expect(labelsOf(labels.join(','), names)).toEqual(labels);
    expect(labelsOf(names.join(','), names)).toEqual(labels);
    expect(performance.now() - start).toBeLessThan(2000);
  });

  it('takes numbers alone where there are no names', () => {
    expect(labelsOf('1,3-4', [], 5)).toEqual([1, 3, 4]);
    expect(() => labelsOf('cat', [], 5)).toThrow(/these weights have no names; give numbers from 0 to 4/);
  });
});

describe('listJobs', () => {
  it('lists all classes before the next image of any, with seeds that depend on nothing else', () => {
    const classes = [
      { label: 1, name: 'bee' },
      { label: 7, name: 'cat' },
    ];
    const jobs = listJobs(classes, 2, 5);
    expect(jobs.map(({ file }) => file)).toEqual([
      'class-0001-000000.png',
      'class-0007-000000.png',
      'class-0001-000001.png',
      'class-0007-000001.png',
    ]);
    expect(jobs[3].seed).toBe(seedOf(5, 7, 1));
    // The first eight bytes of the SHA-256 of `tokenbridge/5/7/1`.
    expect(seedOf(5, 7, 1).toString(16).padStart(16, '0')).toBe('a8d145a989b3a069');
  });
});
