import { readFile } from 'node:fs/promises';
import { fixed, percent, UsageError } from '@tb/command-line';
import { readPngSettings } from '@tb/images';
import { openNpz, readNpy } from '@tb/io';
import { createQuantizer, report, type UnpackedCodes, unpackCodes } from '@tb/quantizer';
import { countElements, type Inspection, withSeparators } from './listing.js';
import { fileFacts } from './weights.js';

/** Indices as @tb/quantizer packs them. */
export async function inspectCodes(path: string): Promise<Inspection> {
  const { codes, levels, shape, version } = await readCodes(path);
  const channels = shape.at(-1) ?? 1;
  const { channels: reports, mean } = report(codes, { quantizer: createQuantizer({ levels }), channels });
  return {
    kind: 'code file of @tb/quantizer',
    facts: {
      ...(await fileFacts(path)),
      codes: withSeparators(codes.length),
      shape: shape.join(' × '),
      levels,
      ...(version === 1 && { 'not checked': 'levels and shape: format version 1 has no checksum of them' }),
    },
    tables: [
      {
        title: `use of the levels, of at most ${fixed(Math.log2(levels), 2)} bits`,
        header: ['last axis', 'levels used', 'bits'],
        rows: [...reports.entries(), ['mean', mean] as const].map(([channel, { utilisation, entropy }]) => [
          String(channel),
          percent(utilisation),
          fixed(entropy, 3),
        ]),
      },
    ],
  };
}

async function readCodes(path: string): Promise<UnpackedCodes> {
  const bytes = await readFile(path);
  try {
    return unpackCodes(bytes, { allowUncheckedHeader: true });
  } catch (error) {
    throw new UsageError(`${path} cannot be read: ${(error as Error).message.replace(/^unpackCodes: /, '')}`);
  }
}

export async function inspectNumpy(path: string): Promise<Inspection> {
  const tensors = [];
  if (path.endsWith('.npy')) tensors.push({ ...(await readNpy(path)), name: 'array' });
  else {
    const file = await openNpz(path);
    try {
      for (const name of file.names) tensors.push({ name, ...(await file.describe(name)) });
    } finally {
      await file.close();
    }
  }
  const lines = tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape }));
  return {
    kind: 'arrays of NumPy',
    facts: { ...(await fileFacts(path)), numbers: withSeparators(countElements(lines)) },
    tensors: lines,
  };
}

/** How an image of tb-sample was made. */
export async function inspectImage(path: string): Promise<Inspection> {
  const settings = readPngSettings(await readFile(path));
  if (settings === undefined)
    throw new UsageError(`${path} does not state how it was made: it is damaged, or not an image of tb-sample`);
  return { kind: 'image of tb-sample', facts: await fileFacts(path), details: settings };
}
