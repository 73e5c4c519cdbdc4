import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byName, describeLeftOut, describeListing, listClasses, listImages } from './list.js';

/** A folder with empty files at these paths, and links from paths to targets. */
function folderWith(files: readonly string[], links: Record<string, string> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'tb-list-'));
  for (const file of files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), '');
  }
  for (const [link, target] of Object.entries(links)) {
    mkdirSync(dirname(join(folder, link)), { recursive: true });
    symlinkSync(target, join(folder, link));
  }
  return folder;
}

const nothing = { otherKinds: {}, hidden: 0, repeated: 0, brokenLinks: 0, special: 0, outsideClasses: 0 };

describe('listImages', () => {
  it('lists every format that is read, in any case, and counts the other kinds', async () => {
    const images = ['a.png', 'b.JPG', 'c.jpeg', 'd.jfif', 'e.webp', 'f.tif', 'g.tiff', 'h.gif', 'i.avif', 'x.y.PnG'];
    const others = ['a.bmp', 'b.BMP', 'c.heic', 'notes.txt', 'README', 'png', 'a.png.part'];
    const { files, folders, leftOut } = await listImages(folderWith([...images, ...others]));
    expect(files).toEqual([...images].sort(byName));
    expect(folders).toEqual([]);
    const otherKinds = { '.bmp': 2, '.heic': 1, '.txt': 1, '': 2, '.part': 1 };
    expect(leftOut).toEqual({ ...nothing, otherKinds });
  });

  it('skips hidden files and folders at every depth', async () => {
    const hidden = [
      '._0.png',
      '.cache/1.png',
      'cat/.ipynb_checkpoints/0-checkpoint.png',
      'cat/@eaDir/0.png/SYNOPHOTO_THUMB_S.jpg',
      'cat/deep/deeper/.hidden.jpg',
      '__MACOSX/cat/._0.png',
    ];
    const { files, folders, leftOut } = await listImages(
      folderWith(['0.png', 'cat/0.png', 'cat/deep/1.png', ...hidden]),
    );
    expect(files).toEqual(['0.png', 'cat/0.png', 'cat/deep/1.png']);
    expect(folders).toEqual(['cat']);
    expect(leftOut).toEqual({ ...nothing, hidden: 6 });
  });

  it('searches a folder whose own name is hidden, and folders that are named like images', async () => {
    const folder = folderWith(['.data/cat.png/0.png']);
    expect((await listImages(join(folder, '.data'))).files).toEqual(['cat.png/0.png']);
  });

  it('lists files and folders behind links once, under their own path where they have one', async () => {
    const outside = folderWith(['x/1.png', 'x/deep/2.png', 'blob']);
    const folder = folderWith(['step-1/0.png', 'step-1/1.png'], {
      latest: 'step-1',
      self: '.',
      up: '..',
      'step-1/again.png': '1.png',
      'a-linked': join(outside, 'x'),
      'b-linked-too': join(outside, 'x'),
      'c-part-of-it': join(outside, 'x/deep'),
      'stored.png': join(outside, 'blob'),
      unnamed: join(outside, 'blob'),
    });
    const { files, folders, leftOut } = await listImages(folder);
    expect(files).toEqual(['a-linked/1.png', 'a-linked/deep/2.png', 'step-1/0.png', 'step-1/1.png', 'stored.png']);
    expect(folders).toEqual(['a-linked', 'step-1']);
    expect(leftOut).toEqual({ ...nothing, otherKinds: { '': 1 }, repeated: 6 });
  });

  it('survives links in circles, links to nothing, and links to what is above', async () => {
    const folder = folderWith(['a/b/0.png'], {
      'a/b/top': '../..',
      ring: 'ring',
      'lost.png': 'nowhere.png',
      'a/c': '../a/d',
      'a/d': 'c',
    });
    expect(await listImages(folder)).toMatchObject({ files: ['a/b/0.png'], leftOut: { brokenLinks: 4, repeated: 1 } });
  });

  it.skipIf(process.platform === 'win32')('leaves out pipes, which would never end', async () => {
    const folder = folderWith(['0.png'], { 'link.png': 'pipe.png' });
    execFileSync('mkfifo', [join(folder, 'pipe.png')]);
    expect(await listImages(folder)).toMatchObject({ files: ['0.png'], leftOut: { special: 2 } });
  });

  it('looks into no subfolder if asked so', async () => {
    const folder = folderWith(['0.png', 'sub/1.png'], { linked: 'sub' });
    expect(await listImages(folder, { subfolders: false })).toMatchObject({ files: ['0.png'], folders: [] });
  });

  it('states why a folder cannot be read', async () => {
    const folder = folderWith(['0.png']);
    await expect(listImages(join(folder, 'none'))).rejects.toThrow(
      /^listImages: folder \S+ cannot be read: it does not exist$/,
    );
    await expect(listImages(join(folder, '0.png'))).rejects.toThrow('cannot be read: it is a file');
  });

  it('lists every real image exactly once, whatever the links', async () => {
    const folders = fc.array(fc.constantFrom('a', 'b', 'c.png', '.hidden'), { maxLength: 3 });
    const pathTo = (name: string) => folders.map((parents) => [...parents, name].join('/'));
    const file = fc.constantFrom('0.png', '1.jpg', '2.bmp', '.3.png').chain(pathTo);
    const link = fc.tuple(fc.constantFrom('link', 'link.png').chain(pathTo), fc.oneof(file, pathTo('a'), pathTo('.')));
    await fc.assert(
      fc.asyncProperty(fc.array(file, { maxLength: 8 }), fc.array(link, { maxLength: 5 }), async (files, links) => {
        const folder = folderWith(files);
        for (const [path, target] of links) {
          mkdirSync(dirname(join(folder, path)), { recursive: true });
          rmSync(join(folder, path), { force: true });
          symlinkSync(join(folder, target), join(folder, path));
        }
        const listed = (await listImages(folder)).files;
        const real = listed.map((path) => realpathSync(join(folder, path)));
        expect(new Set(real).size).toBe(real.length);
        const visible = files.filter((path) => !/(^|\/)\./.test(path) && /\.(png|jpg)$/.test(path));
        expect(listed).toEqual(expect.arrayContaining(visible));
        const withoutLinks = listed.filter((path) => !/(^|\/)link/.test(path));
        expect(withoutLinks).toEqual([...new Set(visible)].sort(byName));
      }),
      { numRuns: 100 },
    );
  });
});

describe('listClasses', () => {
  it('sorts images into the folders at the top, in the order of their names', async () => {
    const folder = folderWith(['b/1.png', 'a b/0.png', 'a/deep/2.png', 'a/1.png', 'empty/x.txt', 'loose.png']);
    const { classes, leftOut } = await listClasses(folder);
    expect(classes).toEqual([
      { name: 'a', files: ['a/1.png', 'a/deep/2.png'] },
      { name: 'a b', files: ['a b/0.png'] },
      { name: 'b', files: ['b/1.png'] },
      { name: 'empty', files: [] },
    ]);
    expect(leftOut).toEqual({ ...nothing, otherKinds: { '.txt': 1 }, outsideClasses: 1 });
  });

  it('takes images without class folders as one class', async () => {
    const { classes } = await listClasses(folderWith(['1.png', '0.jpg', 'notes/x.txt']));
    expect(classes).toEqual([{ name: 'all', files: ['0.jpg', '1.png'] }]);
  });

  it('refuses a folder without images', async () => {
    await expect(listClasses(folderWith(['cat/0.bmp', '.hidden/0.png']))).rejects.toThrow(
      /must hold images \(PNG, .*\), got 1 \.bmp file, 1 hidden file or folder$/,
    );
  });
});

describe('describeListing', () => {
  it('counts classes and images', async () => {
    const folder = folderWith(['a/0.png', 'b/0.png', 'b/1.png', 'x.bmp']);
    expect(describeListing(await listClasses(folder))).toBe('2 classes, 3 images; left out: 1 .bmp file');
    expect(describeListing(await listImages(join(folder, 'a')))).toBe('1 image');
  });
});

describe('describeLeftOut', () => {
  it('names every kind with its number, the most frequent ones first', () => {
    const leftOut = {
      ...nothing,
      otherKinds: { '.txt': 1, '.bmp': 10, '': 2 },
      hidden: 1,
      repeated: 3,
      brokenLinks: 1,
      special: 2,
    };
    expect(describeLeftOut(leftOut)).toBe(
      '10 .bmp files, 2 files without an ending, 1 .txt file, 1 hidden file or folder, 1 link to nothing, 3 links to what was found before, 2 pipes, sockets and devices',
    );
    expect(describeLeftOut(nothing)).toBe('');
  });

  it('stays one printable line, however many and however odd the endings are', () => {
    const otherKinds = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`.x${i}`, 1]));
    const text = describeLeftOut({
      ...nothing,
      otherKinds: { ...otherKinds, '.a\nb\u001b[31m': 9, [`.${'l'.repeat(200)}`]: 8 },
    });
    expect(text).toMatch(/^9 \.a\\nb\\u001b\[31m files, 8 \.l+ files, .*36 files of other kinds$/);
    expect(text.length).toBeLessThan(200);
  });
});
