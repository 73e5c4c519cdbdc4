// Which files are images: the formats that are read, the endings of their names, and the bytes that they begin with.

/** A format of image files that can be read. */
export type ImageFormat = 'png' | 'jpeg' | 'webp' | 'tiff' | 'gif' | 'avif';

const endings: Record<ImageFormat, readonly string[]> = {
  png: ['.png'],
  jpeg: ['.jpg', '.jpeg', '.jfif'],
  webp: ['.webp'],
  tiff: ['.tif', '.tiff'],
  gif: ['.gif'],
  avif: ['.avif'],
};

/** Names of the formats, for messages. */
export const formatNames = 'PNG, JPEG, WebP, TIFF, GIF or AVIF';

const formatsByEnding = new Map(
  Object.entries(endings).flatMap(([format, list]) => list.map((ending) => [ending, format as ImageFormat])),
);

/** Endings of images that are not read. Where left-out images would falsify a result, they can be told from other files. */
const unreadEndings = new Set(['.bmp', '.heic', '.heif', '.jp2', '.jxl', '.pbm', '.pgm', '.ppm', '.svg', '.tga']);

/** The ending of a file's name in lower case, with its dot: `.png`. Empty if there is none. */
export function endingOf(path: string): string {
  return /[^/\\](\.[^./\\]+)$/.exec(path)?.[1].toLowerCase() ?? '';
}

/** The format that a file's name promises. Only files with such a name count as images. */
export const formatOfName = (path: string): ImageFormat | undefined => formatsByEnding.get(endingOf(path));

/** Whether an ending belongs to images that are not read. */
export const isUnreadEnding = (ending: string): boolean => unreadEndings.has(ending);

/** Number of bytes that `formatOfContent` looks at. */
export const signatureLength = 64;

/** The format that a file's first bytes show. The content decides how a file is decoded, whatever its name. */
export function formatOfContent(start: Uint8Array): ImageFormat | undefined {
  const text = Buffer.from(start.buffer, start.byteOffset, Math.min(start.length, signatureLength)).toString('latin1');
  if (text.startsWith('\x89PNG\r\n\x1a\n')) return 'png';
  if (text.startsWith('\xff\xd8\xff')) return 'jpeg';
  if (text.startsWith('GIF87a') || text.startsWith('GIF89a')) return 'gif';
  if (/^RIFF.{4}WEBP/s.test(text)) return 'webp';
  if (/^(II[*+]\0|MM\0[*+])/.test(text)) return 'tiff';
  // The file type box: its size, "ftyp", the main brand, a version, and further brands.
  if (/^.{4}ftyp(.{4})*?avi[fs]/s.test(text)) return 'avif';
  return undefined;
}
