import { cpSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openImageFolder } from './image-source.js';

const fixture = (file: string) => fileURLToPath(new URL(`../../../images/fixtures/${file}`, import.meta.url));
const options = { size: 8, seed: 1, flip: false };

/** A folder with copies of one image at these paths, and empty files at others. */
function folderWith(images: readonly string[], empty: readonly string[] = []): string {
  const folder = mkdtempSync(join(tmpdir(), 'tb-source-'));
  for (const file of [...images, ...empty]) mkdirSync(dirname(join(folder, file)), { recursive: true });
  for (const file of images) cpSync(fixture('decode/rgb.png'), join(folder, file));
  for (const file of empty) writeFileSync(join(folder, file), '');
  return folder;
}

async function contentOf(folder: string) {
  const source = await openImageFolder(folder, options);
  const files = Array.from({ length: source.length }, (_, i) => relative(folder, source.requestOf(i, 0).path));
  const labels = Array.from({ length: source.length }, (_, i) => source.labelOf(i));
  return { classNames: source.classNames, files, labels, summary: source.summary };
}

describe('openImageFolder', () => {
  it('reads every kind, leaves out hidden copies, and states what it left out', async () => {
    const images = ['cat/0.png', 'cat/1.jfif', 'cat/deep/2.gif', 'dog/0.tif', 'dog/1.AVIF', 'a cat/3.webp'];
    const hidden = ['cat/.ipynb_checkpoints/0-checkpoint.png', 'cat/@eaDir/0.png/SYNOPHOTO_THUMB_S.jpg', 'dog/._0.tif'];
    const folder = folderWith([...images, 'loose.png', ...hidden], ['cat/a.bmp', 'dog/b.bmp', 'labels.csv']);
    expect(await contentOf(folder)).toEqual({
      classNames: ['a cat', 'cat', 'dog'],
      files: ['a cat/3.webp', 'cat/0.png', 'cat/1.jfif', 'cat/deep/2.gif', 'dog/0.tif', 'dog/1.AVIF'],
      labels: [0, 1, 1, 1, 2, 2],
      summary:
        '3 classes, 6 images; left out: 2 .bmp files, 1 .csv file, 1 image outside the class folders, 3 hidden files and folders',
    });
  });

  it('takes a folder of images without class folders as one class', async () => {
    const folder = folderWith(['b.png', 'a.png'], ['notes/readme.txt']);
    expect(await contentOf(folder)).toEqual({
      classNames: ['all'],
      files: ['a.png', 'b.png'],
      labels: [0, 0],
      summary: '1 class, 2 images; left out: 1 .txt file',
    });
  });

  it('takes each file once, and links to class folders elsewhere as classes', async () => {
    const folder = folderWith(['step-1/0.png']);
    symlinkSync('step-1', join(folder, 'latest'));
    symlinkSync('.', join(folder, 'self'));
    symlinkSync(folderWith(['0.png', '1.png']), join(folder, 'elsewhere'));
    expect(await contentOf(folder)).toMatchObject({
      classNames: ['elsewhere', 'step-1'],
      files: ['elsewhere/0.png', 'elsewhere/1.png', 'step-1/0.png'],
      summary: '2 classes, 3 images; left out: 2 links to what was found before',
    });
  });

  it('refuses a class without a readable image', async () => {
    const folder = folderWith(['cat/0.png'], ['dog/0.png', 'dog/1.jpg']);
    await expect(openImageFolder(folder, options)).rejects.toThrow(
      /^openImageFolder: class dog of \S+ must have a readable image, got only unreadable ones \(2, the first because its content is not that of a PNG/,
    );
    await expect(openImageFolder(folderWith(['cat/0.png'], ['dog/0.bmp']), options)).rejects.toThrow(
      /class dog of \S+ must have a readable image, got none$/,
    );
  });

  it('refuses a folder without images, and reports what is there instead', async () => {
    await expect(openImageFolder(folderWith([], ['cat/0.bmp', 'cat/1.bmp']), options)).rejects.toThrow(
      /must hold images \(PNG, JPEG, WebP, TIFF, GIF or AVIF\), got 2 \.bmp files$/,
    );
    await expect(openImageFolder(folderWith([]), options)).rejects.toThrow(/got an empty folder$/);
    await expect(openImageFolder('/none/such', options)).rejects.toThrow(
      'folder /none/such cannot be read: it does not exist',
    );
  });
});
