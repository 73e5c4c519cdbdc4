// Small image files that claim to be large, hide another format, loop, or carry text that attacks a reader.
import { crc32, deflateSync } from 'node:zlib';

const joined = (...parts: readonly (Buffer | string)[]) =>
  Uint8Array.from(Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part))));

const uint32 = (...values: number[]) => {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, 4 * i);
  return bytes;
};

const little = (width: number, ...values: number[]) => {
  const bytes = Buffer.alloc(width * values.length);
  for (const [i, value] of values.entries()) bytes.writeUIntLE(value, width * i, width);
  return bytes;
};

const chunk = (type: string, data: Buffer) => {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  return Buffer.concat([uint32(data.length), body, uint32(crc32(body))]);
};

const pngHead = (width: number, height: number, depth = 8, colour = 2) =>
  Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', Buffer.concat([uint32(width, height), Buffer.from([depth, colour, 0, 0, 0])])),
  ]);
const pixels = (bytes: number) => chunk('IDAT', deflateSync(Buffer.alloc(bytes)));
const end = chunk('IEND', Buffer.alloc(0));
const small = pixels(4 * 13);
const zeros = deflateSync(Buffer.alloc(2 ** 26));

type TiffEntry = [tag: number, type: number, count: number, value: number];
const tiffOf = (
  width: number,
  height: number,
  bands: number,
  bits: number,
  compression: number,
  bytes = 16,
): TiffEntry[] => [
  [256, 4, 1, width],
  [257, 4, 1, height],
  [258, 3, 1, bits],
  [259, 3, 1, compression],
  [262, 3, 1, 1],
  [273, 4, 1, 8],
  [277, 3, 1, bands],
  [278, 4, 1, height],
  [279, 4, 1, bytes],
];
const tiff = (entries: readonly TiffEntry[], next = 0) =>
  joined(
    'II*\0\x08\0\0\0',
    little(2, entries.length),
    ...entries.map(([tag, type, count, value]) => Buffer.concat([little(2, tag, type), little(4, count, value)])),
    little(4, next),
    Buffer.alloc(64),
  );

const gifHead = (width: number, height: number) =>
  Buffer.concat([Buffer.from('GIF89a'), little(2, width, height), Buffer.from([0x80, 0, 0]), Buffer.alloc(6)]);
const gifFrame = (width: number, height: number) =>
  Buffer.concat([Buffer.from([0x2c]), little(2, 0, 0, width, height), Buffer.from([0, 2, 3, 0x84, 0x51, 5, 0])]);

/** A lossless WebP of one colour. */
const vp8l = (width: number, height: number) => {
  const header = BigInt(width - 1) | (BigInt(height - 1) << 14n);
  const data = Buffer.concat([
    Buffer.from([0x2f]),
    little(4, Number(header & 0xffffffffn)),
    Buffer.from([0x88, 0x88, 8, 0x10, 0x11]),
  ]);
  return Buffer.concat([Buffer.from('VP8L'), little(4, data.length), data]);
};
const riff = (...parts: readonly Buffer[]) => {
  const body = Buffer.concat([Buffer.from('WEBP'), ...parts]);
  return joined('RIFF', little(4, body.length), body);
};

const jpegOf = (width: number, height: number, marker = 0xc0) =>
  joined(
    '\xff\xd8',
    Buffer.from([0xff, marker, 0, 11, 8, height >> 8, height & 0xff, width >> 8, width & 0xff, 1, 1, 0x11, 0]),
    '\xff\xda\0\x08\x01\x01\0\0\x3f\0\0\0\xff\xd9',
  );

const box = (type: string, ...parts: readonly Buffer[]) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([uint32(body.length + 8), Buffer.from(type), body]);
};
const avif = (...boxes: readonly Buffer[]) => joined(box('ftyp', Buffer.from('avif\0\0\0\0avifmif1miaf')), ...boxes);

/** Files by the name under which they are tried; the ending is what a folder of images would show. */
export const hostileImages: readonly (readonly [name: string, bytes: Uint8Array])[] = [
  ['16000x16000.png', joined(pngHead(16_000, 16_000), pixels(1000), end)],
  ['2147483647.png', joined(pngHead(0x7fffffff, 1), small, end)],
  ['negative.png', joined(pngHead(0x80000001, 1), small, end)],
  ['zero.png', joined(pngHead(0, 0), end)],
  ['one-row.png', joined(pngHead(60_000_000, 1, 1, 0), pixels(100), end)],
  ['too-many-bytes.png', joined(pngHead(4, 4), chunk('IDAT', zeros), end)],
  [
    'text-of-64-MiB.png',
    joined(pngHead(4, 4), chunk('zTXt', Buffer.concat([Buffer.from('k\0\0'), zeros])), small, end),
  ],
  [
    'nested-text.png',
    joined(
      pngHead(4, 4),
      chunk('tEXt', Buffer.from(`tokenbridge\0${'['.repeat(30_000)}${']'.repeat(30_000)}`)),
      small,
      end,
    ),
  ],
  [
    'compressed-settings.png',
    joined(
      pngHead(4, 4),
      chunk('iTXt', Buffer.concat([Buffer.from('tokenbridge\0\x01\0\0\0', 'latin1'), zeros])),
      small,
      end,
    ),
  ],
  [
    'profile-of-64-MiB.png',
    joined(pngHead(4, 4), chunk('iCCP', Buffer.concat([Buffer.from('k\0\0'), zeros])), small, end),
  ],
  [
    'ten-thousand-texts.png',
    joined(
      pngHead(4, 4),
      ...Array.from({ length: 10_000 }, (_, i) => chunk('tEXt', Buffer.from(`k${i}\0v`))),
      small,
      end,
    ),
  ],
  ['animated.png', joined(pngHead(4, 4), chunk('acTL', uint32(0xffffffff, 0)), small, end)],
  ['palette-missing.png', joined(pngHead(4, 4, 8, 3), pixels(4 * 5), end)],
  ['sixteen-bits.png', joined(pngHead(8000, 8000, 16, 6), pixels(1000), end)],
  ['65500x65500.jpg', jpegOf(65_500, 65_500)],
  ['progressive.jpg', jpegOf(65_500, 65_500, 0xc2)],
  ['zero.jpg', jpegOf(0, 0)],
  ['arithmetic.jpg', jpegOf(8, 8, 0xc9)],
  [
    'exif-loop.jpg',
    joined(
      '\xff\xd8\xff\xe1\0\x20Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0',
      jpegOf(8, 8).subarray(2) as Buffer,
    ),
  ],
  ['16383x16383.webp', riff(vp8l(16_383, 16_383))],
  [
    'canvas.webp',
    riff(Buffer.concat([Buffer.from('VP8X'), little(4, 10), little(4, 0), little(3, 0xfffffe, 0xfffffe)]), vp8l(1, 1)),
  ],
  [
    'small-canvas.webp',
    riff(Buffer.concat([Buffer.from('VP8X'), little(4, 10), little(4, 0), little(3, 3, 3)]), vp8l(16_383, 16_383)),
  ],
  ['screen.gif', joined(gifHead(65_535, 65_535), gifFrame(4, 4), ';')],
  ['frame.gif', joined(gifHead(4, 4), gifFrame(65_535, 65_535), ';')],
  ['twenty-thousand-frames.gif', joined(gifHead(4, 4), ...Array(20_000).fill(gifFrame(4, 4)), ';')],
  ['no-end.gif', joined(gifHead(4, 4), '\x21\xff\x0bNETSCAPE2.0', Buffer.alloc(100, 255))],
  ['strip-of-4-GiB.tif', tiff(tiffOf(2000, 2000, 1, 8, 5, 0xfffffff0))],
  ['directory-loop.tif', tiff(tiffOf(4, 4, 1, 8, 1), 8)],
  ['65535-bands.tif', tiff(tiffOf(200, 200, 65_535, 8, 1, 40_000))],
  ['eight-bands-of-64-bits.tif', tiff([...tiffOf(8000, 8000, 8, 64, 8), [339, 3, 1, 3]])],
  ['huge.tif', tiff(tiffOf(0x7fffffff, 0x7fffffff, 3, 8, 1))],
  [
    'wide-tile.tif',
    tiff([
      [256, 4, 1, 16],
      [257, 4, 1, 16],
      [258, 3, 1, 8],
      [259, 3, 1, 1],
      [262, 3, 1, 1],
      [277, 3, 1, 1],
      [322, 4, 1, 0x7fffff0],
      [323, 4, 1, 16],
      [324, 4, 1, 8],
      [325, 4, 1, 256],
    ]),
  ],
  ['old-jpeg.tif', tiff(tiffOf(4, 4, 3, 8, 6))],
  ['empty.avif', avif()],
  ['box-of-4-GiB.avif', avif(Buffer.concat([uint32(0xffffffff), Buffer.from('meta')]))],
  [
    'deep-boxes.avif',
    avif(Array.from({ length: 2000 }, () => 0).reduce<Buffer>((inner) => box('meta', inner), Buffer.alloc(4))),
  ],
  ['file-of-another-kind.avif', joined(box('ftyp', Buffer.from('isom\0\0\0\0mp42avif')))],
  [
    'drawing.png',
    joined('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="/etc/hostname"/></svg>'),
  ],
  [
    'drawing-with-mark.png',
    joined('\xef\xbb\xbf<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="99999" height="99999"/>'),
  ],
  ['entities.png', joined('<!DOCTYPE svg [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><svg>&b;</svg>')],
  ['script.jpg', joined('%!PS-Adobe-3.0\n(/etc/passwd) (r) file\n')],
  ['document.png', joined('%PDF-1.7\n1 0 obj<</OpenAction<</S/Launch/F(sh)>>>>endobj\n')],
  ['commands.png', joined('push graphic-context\nfill \'url(https://127.0.0.1:9/x"|touch x")\'\npop graphic-context')],
  ['commands-in-xml.jpg', joined('<?xml version="1.0"?><image><read filename="/etc/passwd"/></image>')],
  ['bitmap.png', joined('BM', little(4, 0xffffffff), Buffer.alloc(60))],
  ['radiance.png', joined('#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 30000 +X 30000\n', Buffer.alloc(16))],
  ['table.png', joined('1,2\n3,4\n')],
  ['pixmap.jpg', joined('P6 99999 99999 255\n')],
  ['vips.png', joined('\xb6\xa6\xf2\x08', uint32(0x7fffffff, 0x7fffffff), Buffer.alloc(56))],
  ['matlab.tif', joined('MATLAB 5.0 MAT-file', Buffer.alloc(200))],
  ['medical.tif', joined('SIMPLE  =                    T', Buffer.alloc(200))],
  ['empty.png', joined('')],
  ['pointer.png', joined('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n')],
];
