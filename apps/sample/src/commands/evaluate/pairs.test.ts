import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { comparePairs } from './pairs.js';

let images: Record<string, Buffer>;
beforeAll(async () => {
  const image = (background: string) => sharp({ create: { width: 12, height: 12, channels: 3, background } });
  images = { png: await image('red').png().toBuffer(), jpg: await image('blue').jpeg().toBuffer() };
});

/** A folder with an image at each path, in the format of its ending. */
function folderWith(...files: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'tb-pairs-'));
  for (const file of files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), images[file.split('.').at(-1)!] ?? '');
  }
  return folder;
}

async function compare(folder: string, reference: string) {
  const lines: string[] = [];
  const { pictures: pairs } = await comparePairs(folder, reference, { onFound: (line) => lines.push(line) });
  return { names: pairs.map(({ name }) => name), lines };
}

describe('comparePairs', () => {
  it.each<[string[], string]>([
    [['a.jpg', 'a.png', 'b.png'], 'a.jpg and a.png'],
    [['x/a.png', 'x/a.tif', 'a.png'], 'x/a.png and x/a.tif'],
    [['a.jpeg', 'a.jpg'], 'a.jpeg and a.jpg'],
  ])('refuses two images of one name: %j', async (files, pair) => {
    const expected = `has two images of one name, ${pair}: remove or rename one of them`;
    await expect(compare(folderWith(...files), folderWith('a.png', 'b.png'))).rejects.toThrow(expected);
    await expect(compare(folderWith('a.png', 'b.png'), folderWith(...files))).rejects.toThrow(expected);
  });

  it.skipIf(process.platform !== 'linux')('refuses two Unicode forms of one name, where both can exist', async () => {
    const folder = folderWith('\u00e4.png', 'a\u0308.png');
    await expect(compare(folder, folder)).rejects.toThrow('two images of one name, a\u0308.png and \u00e4.png');
  });

  it('takes each image once and skips hidden files, and reports what it left out', async () => {
    const folder = folderWith('a.png', 'x/a.png', '._a.png', 'notes.txt', 'x/@eaDir/a.png/THUMB.jpg');
    symlinkSync('.', join(folder, 'self'));
    const { names, lines } = await compare(folder, folder);
    expect(names).toEqual(['a', 'x/a']);
    const leftOut = '1 .txt file, 2 hidden files and folders, 1 link to what was found before';
    expect(lines).toEqual([`${folder}: 2 images; left out: ${leftOut}`, `${folder}: 2 images; left out: ${leftOut}`]);
  });

  it('matches names of either Unicode form, and images of other formats', async () => {
    const { names } = await compare(folderWith('\u00e4.png', 'b.jpg'), folderWith('a\u0308.png', 'b.png'));
    expect(names).toEqual(['b', '\u00e4']);
  });
});
