// Takes the screenshots of docs/images: `pnpm --filter @tb/sample screenshots`. Needs Chromium.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { chooseFile, chooseSettings, generateAndWatch, openView } from './actions.js';
import { command, openBrowser, openPage, root, startServer } from './browser.js';

const images = join(root, 'docs/images');
const runs = mkdtempSync(join(tmpdir(), 'tb-screenshots-'));
mkdirSync(images, { recursive: true });
const browser = await openBrowser();
const server = await startServer('--runs', runs);
const training = [
  '--data',
  join(root, 'apps/train/demo/photos'),
  ...'--image-size 32 --batch 2 --steps 12 --draw-every 6 --backend wasm'.split(' '),
];
await command('train', 'vae', ...training, '--out', join(runs, 'seed 1'), '--seed', '1').catch((error) =>
  console.error(error.message),
);
const { page } = await openPage(browser, server.url, { width: 1200, height: 860 });

const take = async (name: string) => {
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
  const png = await page.screenshot();
  await sharp(png).png({ palette: true, quality: 90, compressionLevel: 9 }).toFile(join(images, name));
  console.log(join('docs/images', name));
};

await chooseSettings(page, { name: 'chelsea', count: 4, seed: 7 });
await generateAndWatch(page);
const row = page.locator('.row').first();
await row.getByRole('button', { name: 'Generate next to it' }).click();
await row
  .locator('.attempt')
  .nth(1)
  .getByText(/^Done in/)
  .waitFor();
await page.locator('form details summary').first().click();
await page.getByRole('button', { name: 'coffee', exact: true }).click();
await page.getByRole('button', { name: 'chelsea', exact: true }).click();
await page.getByRole('button', { name: 'Generate', exact: true }).click();
await page.waitForFunction(() => {
  const known = document.querySelector('.row .state')?.parentElement?.querySelector('progress')?.value ?? 0;
  return known > 0.35 || document.querySelector('.row .state')?.textContent !== '';
});
await take('page-generate.png');

await openView(page, 'Reconstruct');
await chooseFile(page, join(root, 'apps/train/demo/photos/coffee.png'));
await page.locator('.compared').waitFor();
await page.getByLabel('Levels', { exact: true }).fill('8');
await page.getByLabel('Levels', { exact: true }).blur();
await page.getByRole('rowheader', { name: '8 levels, ±5' }).waitFor();
await take('page-reconstruct.png');

await page.emulateMedia({ colorScheme: 'dark' });
await openView(page, 'Runs');
await page.getByRole('heading', { name: 'Loss', exact: true }).waitFor({ timeout: 30_000 });
await page.waitForTimeout(500);
await take('page-runs.png');

await browser.close();
await server.stop();
rmSync(runs, { recursive: true });
