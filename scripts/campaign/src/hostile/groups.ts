import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeImage, readImageHeader, readPngSettings } from '@tb/images';
import { openCheckpoint, readCheckpoint, readNpz } from '@tb/io';
import { faultOf, observe } from '../reading.js';
import type { GroupName, GroupReport } from './group.js';
import { hostileArchives } from './hostile-archives.js';
import { hostileImages } from './hostile-images.js';
import { hostilePickles } from './hostile-pickles.js';
import { attackNames } from './outputs.js';

const groups: Readonly<Record<GroupName, (folder: string) => Promise<GroupReport>>> = {
  pickles: attackByPickles,
  archives: attackByArchives,
  images: attackByImages,
  names: attackNames,
};

/** @param folder - an empty folder, the only one to which may be written */
export async function attackGroup(name: GroupName, folder: string): Promise<GroupReport> {
  const report = await groups[name](folder);
  return { ...report, faults: [...new Set(report.faults)] };
}

async function attackByPickles(folder: string): Promise<GroupReport> {
  const canary = join(folder, 'canary');
  const pickles = await hostilePickles(canary);
  const faults: string[] = [];
  for (const { name, bytes, isCall } of pickles) {
    const path = join(folder, 'hostile.pth');
    writeFileSync(path, bytes);
    const add = (fault: string | undefined) => void (fault !== undefined && faults.push(`${name}: ${fault}`));
    const seen = await observe(() => readCheckpoint(path));
    add(faultOf(seen));
    if (isCall && !('error' in seen)) add('is accepted without a word about the function that it calls');
    add(faultOf(await observe(() => readCheckpoint(path, { unknownCalls: 'keep' }))));
    add(faultOf(await observe(async () => (await openCheckpoint(path, { unknownCalls: 'refuse' })).close())));
    if (existsSync(canary)) add('ran its command');
  }
  return { tried: pickles.length, faults: [...faults, ...unexpectedFiles(folder, ['hostile.pth'])] };
}

async function attackByArchives(folder: string): Promise<GroupReport> {
  const faults: string[] = [];
  for (const [name, bytes] of hostileArchives) {
    const path = join(folder, 'hostile.zip');
    writeFileSync(path, bytes);
    for (const read of [() => readCheckpoint(path), () => readNpz(path)]) {
      const seen = await observe<unknown>(read);
      const fault = faultOf(seen);
      if (fault !== undefined) faults.push(`${name}: ${fault}`);
      if ('value' in seen && seen.value === true) faults.push(`${name}: the wrong one of two members was read`);
    }
  }
  return { tried: hostileArchives.length, faults: [...faults, ...unexpectedFiles(folder, ['hostile.zip'])] };
}

async function attackByImages(folder: string): Promise<GroupReport> {
  const faults: string[] = [];
  for (const [name, bytes] of hostileImages) {
    const path = join(folder, name);
    writeFileSync(path, bytes);
    const reads = [
      () => readImageHeader(path),
      () => decodeImage(path),
      async () => readPngSettings(readFileSync(path)),
    ];
    for (const read of reads) {
      const fault = faultOf(await observe<unknown>(read));
      if (fault !== undefined) faults.push(`${name}: ${fault}`);
    }
  }
  const expected = hostileImages.map(([name]) => name);
  return { tried: hostileImages.length, faults: [...faults, ...unexpectedFiles(folder, expected)] };
}

function unexpectedFiles(folder: string, expected: readonly string[]): string[] {
  const others = readdirSync(folder).filter((name) => !expected.includes(name));
  return others.map((name) => `${JSON.stringify(name)} was written`);
}
