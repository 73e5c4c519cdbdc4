import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { FileFormatError } from './file-format-error.js';
import { jsonShape, parseJson, readJson } from './json-file.js';
import { withFolder } from './testing/fixtures.js';

const { object, record, list, text, count, integer, number, boolean, optional, oneOf, passing, anything } = jsonShape;

const manifest = object({
  format: oneOf('tokenbridge-checkpoint'),
  files: record(object({ bytes: count, sha256: passing(text, 'a SHA-256', (value) => /^[0-9a-f]{64}$/.test(value)) })),
  note: optional(text),
});

const sha256 = 'ab'.repeat(32);

it('returns values of the right shape, whatever else they hold', () => {
  const value = { format: 'tokenbridge-checkpoint', files: { 'a.bin': { bytes: 1, sha256 } }, more: [1] };
  const parsed = parseJson(JSON.stringify(value), manifest, 'manifest.json');
  expect(parsed).toEqual(value);
  expect(parsed.files['a.bin']!.bytes satisfies number).toBe(1);
  expect(parseJson('{"a": null}', object({ a: optional(list(number)), b: optional(boolean) }), 'x')).toEqual({
    a: null,
  });
  expect(parseJson('[[], {}]', anything, 'x')).toEqual([[], {}]);
});

it.each<[string, string]>([
  ['null', 'it must be an object, but is null'],
  ['[]', 'it must be an object, but is a list'],
  ['{}', 'format must be "tokenbridge-checkpoint", but is missing'],
  ['{"format": "other\\u001b[31m"}', 'format must be "tokenbridge-checkpoint", but is "other\\u001b[31m"'],
  ['{"format": "tokenbridge-checkpoint", "files": 5}', 'files must be an object, but is 5'],
  ['{"format": "tokenbridge-checkpoint", "files": {"a": null}}', 'files.a must be an object, but is null'],
  [
    '{"format": "tokenbridge-checkpoint", "files": {"a b.bin": {"bytes": -1}}}',
    'files["a b.bin"].bytes must be a count (0, 1, 2, …), but is -1',
  ],
  [
    '{"format": "tokenbridge-checkpoint", "files": {"a": {"bytes": 1, "sha256": "x"}}}',
    'files.a.sha256 must be a SHA-256, but is "x"',
  ],
  [
    `{"format": "tokenbridge-checkpoint", "files": {}, "note": ${'['.repeat(5)}${']'.repeat(5)}}`,
    'note must be text, but is a list',
  ],
  ['{"__proto__": {"format": "tokenbridge-checkpoint"}}', 'format must be "tokenbridge-checkpoint", but is missing'],
  ['', 'is empty, not JSON'],
  ['{"format": "tok', 'ends in the middle of its JSON: it was cut short'],
  ['{\n  "format": oops\n}', 'is not JSON'],
])('reports what is wrong with %s', (json, reason) => {
  const read = () => parseJson(json, manifest, 'manifest.json');
  expect(read).toThrow(FileFormatError);
  expect(read).toThrow(`manifest.json: ${reason}`);
});

it('prints no long values and none that are nested', () => {
  const long = JSON.stringify({ format: 'x'.repeat(1e6) });
  expect(() => parseJson(long, manifest, 'x')).toThrow(/^.{100,200}…$/);
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  expect(() => parseJson(deep, manifest, 'x')).toThrow('it must be an object, but is a list');
  expect(() => parseJson(deep, integer, 'x')).toThrow('it must be an integer, but is a list');
});

it('reads files, and reports why it cannot', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'a.json');
    await expect(readJson(path, anything)).rejects.toMatchObject({
      message: `${path} cannot be read: it does not exist`,
      code: 'ENOENT',
    });
    await writeFile(path, '\uFEFF{"a": 1}');
    expect(await readJson(path, object({ a: integer }))).toEqual({ a: 1 });
    await writeFile(path, Buffer.from('{"a": 1}', 'utf16le').fill(0xff, 0, 1));
    await expect(readJson(path, anything)).rejects.toThrow(`${path}: is not UTF-8 text`);
    await mkdir(join(folder, 'b.json'));
    await expect(readJson(join(folder, 'b.json'), anything)).rejects.toThrow(
      'b.json cannot be read: a folder has that name',
    );
  }));
