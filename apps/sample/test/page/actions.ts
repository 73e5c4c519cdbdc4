// What people do on the page, by the names that they read.
import { decodeImage, type Pixels } from '@tb/images';
import type { Page } from 'playwright-core';

/** Opens a view by its link. */
export const openView = (page: Page, name: string) => page.getByRole('link', { name, exact: true }).click();

/** Chooses exactly one class, the number of its images, and a seed that is kept. */
export async function chooseSettings(page: Page, choice: { name: string; count: number; seed: number }): Promise<void> {
  const classes = page.getByRole('group', { name: 'What to show' });
  for (const pressed of await classes.locator('button[aria-pressed=true]').all()) await pressed.click();
  await classes.getByRole('button', { name: choice.name, exact: true }).click();
  await page.getByLabel('Images of each').fill(String(choice.count));
  await page.getByLabel('Images of each').blur();
  const settings = page.locator('form details').first();
  if (!(await settings.evaluate((details: HTMLDetailsElement) => details.open)))
    await settings.locator('summary').click();
  await page.getByLabel('Seed', { exact: true }).first().fill(String(choice.seed));
  await page.getByLabel('Seed', { exact: true }).first().blur();
}

/** Clicks Generate, and records what the first image looks like until it is finished. */
export async function generateAndWatch(page: Page) {
  await page.evaluate(watch);
  const begun = Date.now();
  await page.getByRole('button', { name: 'Generate', exact: true }).click();
  await page.locator('.row').first().locator('.canvas img').first().waitFor();
  const firstPreview = Date.now() - begun;
  await page
    .locator('.row')
    .first()
    .getByText(/^Done in/)
    .waitFor({ timeout: 120_000 });
  const seen = await page.evaluate(() => (globalThis as unknown as { seen: Seen[] }).seen);
  return { seen, firstPreview };
}

type Seen = { source: string; masked: number };

/** Records every state of the newest image: its source, and how many positions are masked. */
function watch(): void {
  const seen: Seen[] = [];
  Object.assign(globalThis, { seen });
  const look = () => {
    const canvas = document.querySelector('.row .canvas');
    const source = canvas?.querySelector('img')?.src;
    if (!source) return;
    const map = canvas?.querySelector('canvas');
    const pixels = map ? map.getContext('2d')!.getImageData(0, 0, map.width, map.height).data : new Uint8ClampedArray();
    const masked = pixels.filter((value, index) => index % 4 === 3 && value > 100).length;
    if (seen.at(-1)?.source !== source || seen.at(-1)?.masked !== masked) seen.push({ source, masked });
  };
  const each = () => {
    look();
    requestAnimationFrame(each);
  };
  each();
}

/** The pixels of the newest finished images. */
export async function finishedImages(page: Page, selector = '.row'): Promise<Pixels[]> {
  const sources = await page
    .locator(selector)
    .first()
    .locator('.canvas img')
    .evaluateAll((images: HTMLImageElement[]) => images.map(({ src }) => src));
  return Promise.all(sources.map((source) => decodeImage(Buffer.from(source.split(',')[1], 'base64'))));
}

/** Chooses an image file. */
export const chooseFile = (page: Page, file: string) =>
  page
    .locator('div:not([hidden]) > .columns input[type=file], div:not([hidden]) .columns input[type=file]')
    .last()
    .setInputFiles(file);

/** The figures of the table of a reconstruction, row by row. */
export async function figures(page: Page): Promise<string[][]> {
  const rows = await page.locator('.compared > table tbody tr').all();
  return Promise.all(rows.map((row) => row.locator('td').allInnerTexts()));
}
