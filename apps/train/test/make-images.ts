import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';

/** A folder of class folders with small images of two kinds: stripes and discs, each in its own colours. */
export async function makeImages(folder: string, perClass: number): Promise<void> {
  const svg = {
    stripes: (i: number) =>
      `<svg width="24" height="20">${[0, 6, 12, 18].map((x) => `<rect x="${x + (i % 3)}" width="3" height="20" fill="hsl(${i * 9},80%,50%)"/>`).join('')}</svg>`,
    discs: (i: number) =>
      `<svg width="20" height="24"><circle cx="10" cy="${8 + (i % 5)}" r="6" fill="hsl(${200 + i * 9},80%,50%)"/></svg>`,
  };
  for (const [name, draw] of Object.entries(svg)) {
    mkdirSync(join(folder, name), { recursive: true });
    for (let i = 0; i < perClass; i++) {
      const image = sharp(Buffer.from(draw(i))).flatten({ background: '#222' });
      await (i % 2 ? image.jpeg() : image.png()).toFile(join(folder, name, `${i}.${i % 2 ? 'jpg' : 'png'}`));
    }
  }
}
