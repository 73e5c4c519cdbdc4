import { readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { fileSystemReason, InputError, printable } from '@tb/io';
import { endingOf, formatNames, formatOfName } from './formats.js';

/** The images of a folder. Every file is listed once, however many links lead to it. */
export type ImageListing = {
  /** Paths relative to the folder, with `/` between names, in the order of `byName`. */
  files: string[];
  /** Folders directly inside the folder that were searched, in the same order. */
  folders: string[];
  leftOut: LeftOut;
};

/** What was found in a folder and is not listed. */
export type LeftOut = {
  /** Number of files of each ending that is not an image's: `{ '.bmp': 10, '': 1 }`. */
  otherKinds: Record<string, number>;
  /** Hidden files and folders. What such a folder contains is not counted. */
  hidden: number;
  /** Links to a file or folder that was found before, or to a folder that contains the link. */
  repeated: number;
  /** Links to nothing. */
  brokenLinks: number;
  /** Pipes, sockets and devices. */
  special: number;
  /** Images that are in no class folder, where there are class folders. */
  outsideClasses: number;
};

/** A class of images: its name and the paths of its files. */
export type ImageClass = { name: string; files: string[] };

/** Images sorted into classes. Paths are relative to the folder. */
export type ClassListing = { classes: ImageClass[]; leftOut: LeftOut };

/** Names that begin with a dot, and the folders that Synology and Apple systems fill with thumbnails and copies. */
const isHidden = (name: string) => name.startsWith('.') || name === '@eaDir' || name === '__MACOSX';

/** Compares by UTF-16 code units, which gives the same order on every machine, whatever its language. */
export const byName = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/**
 * Lists the images of a folder and its subfolders: the files whose names end like those of a format that is read. Hidden
 * files and folders are skipped. Links are followed last, so that a file inside the folder is listed under its own path.
 *
 * @param options - `subfolders`: whether to search them (default true)
 * @throws InputError if the folder or one inside it cannot be read
 */
export async function listImages(folder: string, { subfolders = true } = {}): Promise<ImageListing> {
  const real = await realpath(folder).catch((error) => refuse(folder, error));
  const leftOut = { otherKinds: {}, hidden: 0, repeated: 0, brokenLinks: 0, special: 0, outsideClasses: 0 };
  const search: Search = { root: folder, subfolders, files: [], folders: [], links: [], seen: new Set(), leftOut };
  await searchFolder(search, { path: '', real });
  while (search.links.length > 0) await followLinks(search);
  return { files: search.files.sort(byName), folders: search.folders.sort(byName), leftOut };
}

/**
 * Lists a folder with one folder of images per class: `cat/1.jpg`, `dog/2.png`. Classes are in the order of `byName`, and
 * images in deeper folders belong to the class above them. A folder of images alone is one class, `all`.
 *
 * @returns classes of which some may have no images, if others have
 * @throws InputError if the folder or one inside it cannot be read, or there are no images
 */
export async function listClasses(folder: string): Promise<ClassListing> {
  const listing = await listImages(folder);
  assertNotEmpty(folder, listing);
  const { files, folders, leftOut } = listing;
  const classes = new Map<string, string[]>(folders.map((name) => [name, []]));
  const outside = files.filter((file) => !file.includes('/'));
  if (outside.length === files.length) return { classes: [{ name: 'all', files }], leftOut };
  for (const file of files) classes.get(file.split('/', 1)[0])?.push(file);
  return {
    classes: Array.from(classes, ([name, images]) => ({ name, files: images })),
    leftOut: { ...leftOut, outsideClasses: outside.length },
  };
}

/** @throws InputError if there are no images, which states what the folder holds instead */
export function assertNotEmpty(folder: string, { files, leftOut }: ImageListing): void {
  if (files.length > 0) return;
  const found = describeLeftOut(leftOut) || 'an empty folder';
  throw new InputError('assertNotEmpty', `folder ${printable(folder)} must hold images (${formatNames}), got ${found}`);
}

/** A file, folder or link: its path relative to the root, and where it really is. */
type Place = { path: string; real: string };

type Search = ImageListing & {
  root: string;
  subfolders: boolean;
  /** Links that were found and not followed yet. */
  links: Place[];
  /** Real paths of the files and folders that were found. */
  seen: Set<string>;
};

async function searchFolder(search: Search, start: Place): Promise<void> {
  const waiting = [start];
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    if (isRepeated(search, folder)) continue;
    if (folder.path !== '' && !folder.path.includes('/')) search.folders.push(folder.path);
    for (const entry of await readFolder(join(search.root, folder.path))) {
      const path = folder.path === '' ? entry.name : `${folder.path}/${entry.name}`;
      const place = { path, real: join(folder.real, entry.name) };
      if (isHidden(entry.name)) search.leftOut.hidden++;
      else if (entry.isSymbolicLink()) search.links.push(place);
      else if (entry.isFile()) addFile(search, place);
      else if (!entry.isDirectory()) search.leftOut.special++;
      else if (search.subfolders) waiting.push(place);
    }
  }
}

const readFolder = (path: string) =>
  readdir(path, { withFileTypes: true }).catch((error: unknown) => refuse(path, error));

function addFile(search: Search, file: Place): void {
  const { otherKinds } = search.leftOut;
  const ending = endingOf(file.path);
  if (formatOfName(file.path) === undefined) otherKinds[ending] = (otherKinds[ending] ?? 0) + 1;
  else if (!isRepeated(search, file)) search.files.push(file.path);
}

function isRepeated({ seen, leftOut }: Search, { real }: Place): boolean {
  const wasSeen = seen.has(real);
  if (wasSeen) leftOut.repeated++;
  else seen.add(real);
  return wasSeen;
}

/** Follows the links that were found so far. Folders behind them may contain further links. */
async function followLinks(search: Search): Promise<void> {
  const links = search.links.splice(0).sort((a, b) => byName(a.path, b.path));
  for (let first = 0; first < links.length; first += linksAtOnce) {
    const some = links.slice(first, first + linksAtOnce);
    const targets = await Promise.all(some.map(({ path }) => targetOf(join(search.root, path))));
    for (const [index, target] of targets.entries()) await addTarget(search, some[index], target);
  }
}

const linksAtOnce = 64;

type Target = { real: string; kind: 'file' | 'folder' | 'special' } | undefined;

/** What a link leads to in the end; undefined if that is nothing. */
async function targetOf(link: string): Promise<Target> {
  try {
    const real = await realpath(link);
    const found = await stat(real);
    return { real, kind: found.isFile() ? 'file' : found.isDirectory() ? 'folder' : 'special' };
  } catch {
    return undefined;
  }
}

async function addTarget(search: Search, link: Place, target: Target): Promise<void> {
  const { leftOut } = search;
  if (target === undefined) leftOut.brokenLinks++;
  else if (target.kind === 'special') leftOut.special++;
  else if (target.kind === 'file') addFile(search, { path: link.path, real: target.real });
  else if (link.real.startsWith(join(target.real, sep))) leftOut.repeated++;
  else if (search.subfolders) await searchFolder(search, { path: link.path, real: target.real });
}

function refuse(folder: string, error: unknown): never {
  const isFile = (error as NodeJS.ErrnoException).code === 'ENOTDIR';
  const reason = isFile ? 'it is a file' : fileSystemReason(error);
  throw new InputError('listImages', `folder ${printable(folder)} cannot be read: ${reason}`);
}

/** States in one line what was found and what was left out: `2 classes, 44 images; left out: 10 .bmp files`. */
export function describeListing(listing: ImageListing | ClassListing): string {
  const classes = 'classes' in listing ? listing.classes : undefined;
  const images = 'classes' in listing ? listing.classes.flatMap(({ files }) => files) : listing.files;
  const found = counted(images.length, 'image');
  const leftOut = describeLeftOut(listing.leftOut);
  return `${classes ? `${counted(classes.length, 'class', 'classes')}, ` : ''}${found}${leftOut ? `; left out: ${leftOut}` : ''}`;
}

const counted = (count: number, one: string, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

/** States what was left out: `10 .bmp files, 1 link to nothing`. Empty if nothing was. */
export function describeLeftOut(leftOut: LeftOut): string {
  const kinds = Object.entries(leftOut.otherKinds).sort(([a, m], [b, n]) => n - m || byName(a, b));
  const rest = kinds.slice(kindsNamed).reduce((sum, [, count]) => sum + count, 0);
  const parts = [
    ...kinds.slice(0, kindsNamed).map(([ending, count]) => describeKind(ending, count)),
    counted(rest, 'file of another kind', 'files of other kinds'),
    counted(leftOut.outsideClasses, 'image outside the class folders', 'images outside the class folders'),
    counted(leftOut.hidden, 'hidden file or folder', 'hidden files and folders'),
    counted(leftOut.brokenLinks, 'link to nothing', 'links to nothing'),
    counted(leftOut.repeated, 'link to what was found before', 'links to what was found before'),
    counted(leftOut.special, 'pipe, socket or device', 'pipes, sockets and devices'),
  ];
  return parts.filter((part) => !part.startsWith('0 ')).join(', ');
}

const kindsNamed = 6;
const longestEnding = 12;

function describeKind(ending: string, count: number): string {
  if (ending === '') return counted(count, 'file without an ending', 'files without an ending');
  return counted(count, `${printable(ending.slice(0, longestEnding))} file`);
}
