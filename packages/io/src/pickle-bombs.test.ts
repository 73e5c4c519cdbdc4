import { spawnSync } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { fixtureNames, fixturePath, withFolder } from './testing/fixtures.js';
import { zipPieces } from './zip-writer.js';

const PROTO = Buffer.from([0x80, 2]);
const MAGIC = Buffer.from('\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.', 'latin1');
const latin = (text: string) => Buffer.from(text, 'latin1');
const times = (count: number, ...bytes: number[]) => Buffer.concat(Array<Buffer>(count).fill(Buffer.from(bytes)));

/** A tuple of the tuple before it, twice: 2^count paths. */
const laughs = (count: number) => Buffer.concat([latin('N'), times(count, 0x32, 0x86)]);
/** A tuple in a tuple in a tuple … */
const nested = (count: number) => Buffer.concat([latin('N'), times(count, 0x85)]);
const MILLION = 2 ** 20;

/** Integers whose hashes are equal in V8: they differ beyond their 64 lowest bits only. */
const equalHashes = (count: number) =>
  Buffer.concat(
    Array.from({ length: count }, (_, i) =>
      Buffer.concat([latin('\x8a\x10'), Buffer.from(BigUint64Array.of(5n, BigInt(i + 1)).buffer)]),
    ),
  );

const numpyArray = (shape: Buffer) =>
  Buffer.concat([
    latin('cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01b\x87R(K\x01('),
    shape,
    latin('tcnumpy\ndtype\nX\x02\0\0\0f4K\0K\x01\x87R\x89C\x04\0\0\0\0tb'),
  ]);

/** Bodies of data.pkl; each file is small once it is deflated. */
const archives: Record<string, Buffer> = {
  dicts: times(6 * MILLION, 0x7d),
  sets: times(6 * MILLION, 0x8f),
  lists: times(6 * MILLION, 0x5d),
  nones: Buffer.concat([latin('('), times(6 * MILLION, 0x4e), latin('t')]),
  'more than the file can back': times(40 * MILLION, 0x4e),
  duplicates: Buffer.concat([latin('N'), times(6 * MILLION, 0x32)]),
  marks: times(6 * MILLION, 0x28),
  'marks and pops': Buffer.concat([times(3 * MILLION, 0x28, 0x31), latin('N')]),
  memo: Buffer.concat([latin('N'), times(6 * MILLION, 0x94)]),
  'empty texts': Buffer.concat([latin('('), times(3 * MILLION, 0x8c, 0), latin('t')]),
  'empty bytes': Buffer.concat([latin('('), times(3 * MILLION, 0x43, 0), latin('t')]),
  objects: times(300_000, ...latin('ca\nb\n)\x81')),
  calls: times(300_000, ...latin('ca\nb\n)R')),
  'text to bytes': Buffer.concat([
    latin('c_codecs\nencode\nX\0\0\xe0\0'),
    times(14 * MILLION, 0x61),
    latin('X\x06\0\0\0latin1\x86R'),
  ]),
  'keys of equal hashes': Buffer.concat([latin('\x8f('), equalHashes(100_000), latin('\x90')]),
  'axes of a size': Buffer.concat([latin('ctorch\nSize\n('), times(3 * MILLION, 0x4b, 1), latin('t\x85R')]),
  'axes of a tensor': Buffer.concat([
    latin('ctorch._utils\n_rebuild_tensor_v2\n(NK\0('),
    times(1000, 0x4b, 1),
    latin('t)\x89NtR'),
  ]),
  'name of a function': Buffer.concat([latin('c'), times(6 * MILLION, 0x61), latin('\nb\n)R')]),
  'doubled shape': numpyArray(laughs(60)),
  'nested shape': numpyArray(nested(100_000)),
  'nested value': nested(100_000),
  'nested objects': Buffer.concat([times(50_000, ...latin('ca\nb\n)\x81')), times(49_999, 0x62)]),
  'doubled reference': Buffer.concat([laughs(60), latin('Q')]),
};

/** Bodies of the second pickle in the format before PyTorch 1.6, its version. */
const versions: Record<string, Buffer> = {
  'doubled version': laughs(60),
  'nested version': nested(100_000),
  'long version': Buffer.concat([latin('\x8b\0\x04\0\0'), times(1024, 0x7f)]),
  'version of text': Buffer.concat([latin('X\0\0\x10\0'), times(MILLION, 0x61)]),
};

/** Reads every file of a folder in one process of little memory, and prints how each ended. */
const script = `
  const { readCheckpoint } = await import(${JSON.stringify(new URL('./checkpoint.ts', import.meta.url).href)});
  const results = [];
  for (const path of process.argv.slice(1)) {
    const start = performance.now();
    const error = await readCheckpoint(path).catch((thrown) => thrown);
    results.push({ path, name: error.name, length: error.message?.length, milliseconds: performance.now() - start });
    globalThis.gc();
  }
  const { existsSync, readFileSync } = await import('node:fs');
  const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : '';
  console.log(JSON.stringify({ results, rss: Number(/VmHWM:\\s+(\\d+)/.exec(status)?.[1] ?? 0) / 1024 }));`;

it(
  'refuses small files that would take much time or memory',
  () =>
    withFolder(async (folder) => {
      for (const [name, body] of Object.entries(archives)) {
        const pickle = Buffer.concat([PROTO, body, latin('.')]);
        const members = [{ name: 'a/data.pkl', size: pickle.length, pieces: [pickle] }];
        await writeFile(join(folder, `${name}.pth`), zipPieces(members, true));
      }
      for (const [name, body] of Object.entries(versions))
        await writeFile(join(folder, `${name}.pth`), Buffer.concat([PROTO, MAGIC, PROTO, body, latin('.')]));
      const paths = [
        ...(await readdir(folder)).map((name) => join(folder, name)),
        ...fixtureNames('bombs').map((name) => fixturePath(`bombs/${name}`)),
      ];
      const child = spawnSync(
        process.execPath,
        ['--import', 'tsx', '--max-old-space-size=256', '--expose-gc', '--input-type=module', '-e', script, ...paths],
        {
          encoding: 'utf8',
        },
      );
      const { results, rss } = JSON.parse(child.stdout || `{"results": [], "error": ${JSON.stringify(child.stderr)}}`);
      expect(results, child.stderr).toHaveLength(paths.length);
      for (const { path, name, length, milliseconds } of results) {
        expect([path, name]).toEqual([path, 'FileFormatError']);
        expect(length - path.length, path).toBeLessThan(250);
        expect(milliseconds, path).toBeLessThan(10_000); // on a busy machine; 0.5 s on an idle one
      }
      expect(rss).toBeLessThan(350); // MiB, the process itself included; 200 with Node.js 20
    }),
  120_000,
);
