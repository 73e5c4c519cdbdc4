// PNG files, and the settings that generated images carry: JSON in a text chunk named "tokenbridge".
// A chunk is a length, a type, data, and the CRC-32 of type and data (W3C PNG specification, section 5.3).
import { crc32 } from 'node:zlib';
import sharp from 'sharp';
import { formatOfContent } from './formats.js';
import type { Pixels } from './pixels.js';

/** Encodes an image as a PNG file. */
export async function encodePng({ width, height, data }: Pixels): Promise<Uint8Array> {
  const png = sharp(data, { raw: { width, height, channels: 3 } }).png();
  return new Uint8Array(await png.toBuffer());
}

const settingsKeyword = 'tokenbridge';

const signatureLength = 8;
/** The header chunk comes first and has 13 bytes of data. */
const afterHeader = signatureLength + 12 + 13;

/**
 * Adds settings to a PNG file, in a text chunk after its header chunk. Characters beyond ASCII become JSON escapes. It runs in
 * browsers too.
 */
export function withPngSettings(png: Uint8Array, settings: Record<string, unknown>): Uint8Array {
  const json = JSON.stringify(settings).replace(
    /[\u0080-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  const chunk = encodeChunk(`tEXt${settingsKeyword}\0${json}`);
  const result = new Uint8Array(png.length + chunk.length);
  result.set(png.subarray(0, afterHeader));
  result.set(chunk, afterHeader);
  result.set(png.subarray(afterHeader), afterHeader + chunk.length);
  return result;
}

/** A chunk. @param body - its type and its data, in ASCII */
function encodeChunk(body: string): Uint8Array {
  const bytes = new TextEncoder().encode(body);
  const chunk = new Uint8Array(bytes.length + 8);
  const numbers = new DataView(chunk.buffer);
  numbers.setUint32(0, bytes.length - 4);
  chunk.set(bytes, 4);
  numbers.setUint32(bytes.length + 4, checksum(bytes));
  return chunk;
}

/** CRC-32 of a few bytes, where Node's is not available. */
function checksum(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

/**
 * Reads the settings that `withPngSettings` added to a PNG file. They are not trusted: what is larger or more deeply
 * nested than settings are is ignored.
 *
 * @returns undefined when the file is not a complete, undamaged PNG, or has no settings
 */
export function readPngSettings(png: Uint8Array): Record<string, unknown> | undefined {
  const file = Buffer.from(png.buffer, png.byteOffset, png.byteLength);
  if (formatOfContent(file) !== 'png') return undefined;
  let found: Record<string, unknown> | undefined;
  for (let offset = signatureLength; offset + 12 <= file.length; ) {
    const length = file.readUInt32BE(offset);
    const end = offset + 8 + length;
    if (end + 4 > file.length || crc32(file.subarray(offset + 4, end)) !== file.readUInt32BE(end)) return undefined;
    const type = file.toString('latin1', offset + 4, offset + 8);
    if (type === 'IEND') return found;
    if (type === 'tEXt' && length <= mostBytes) found ??= parseText(file.toString('latin1', offset + 8, end));
    offset = end + 4;
  }
  return undefined;
}

const mostBytes = 2 ** 16;
const deepestNesting = 8;

function parseText(content: string): Record<string, unknown> | undefined {
  const [keyword, text] = content.split('\0', 2);
  if (keyword !== settingsKeyword) return undefined;
  try {
    const settings: unknown = JSON.parse(text);
    const isRecord = typeof settings === 'object' && settings !== null && !Array.isArray(settings);
    return isRecord && !isDeeper(settings, deepestNesting) ? { ...settings } : undefined;
  } catch {
    return undefined;
  }
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}
