import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeImage } from '@tb/images';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chooseFile, chooseSettings, figures, finishedImages, generateAndWatch, openView } from './actions.js';
import { accessibilityFaults, command, hasBrowser, openBrowser, openPage, root, startServer } from './browser.js';

const photo = join(root, 'apps/train/demo/photos/coffee.png');

describe.skipIf(!hasBrowser)('the page of tb-sample serve', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tb-page-'));
  let browser: Browser;
  let server: Awaited<ReturnType<typeof startServer>>;
  let page: Page;
  let errors: string[];

  beforeAll(async () => {
    browser = await openBrowser();
    server = await startServer('--runs', folder);
    ({ page, errors } = await openPage(browser, server.url));
  });
  afterAll(async () => {
    await browser?.close();
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('shows an image while it fills, and makes the image of tb-sample generate', async () => {
    await chooseSettings(page, { name: 'coffee', count: 2, seed: 7 });
    const { seen, firstPreview } = await generateAndWatch(page);
    const masked = seen.map((state) => state.masked);
    expect(masked[0]).toBeGreaterThan(0);
    expect(masked.at(-1)).toBe(0);
    expect(new Set(masked).size).toBeGreaterThan(3);
    expect([...masked].sort((a, b) => b - a)).toEqual(masked);
    console.log(`first preview after ${firstPreview} ms`);
    const out = join(folder, 'samples');
    await command('sample', 'generate', ...'--backend wasm --classes coffee --count 2 --seed 7 --out'.split(' '), out);
    const [first, second] = await finishedImages(page);
    expect(first).toEqual(await decodeImage(join(out, 'class-0003-000000.png')));
    expect(second).toEqual(await decodeImage(join(out, 'class-0003-000001.png')));
    rmSync(out, { recursive: true });
  });

  it('shows confidence and order, and the same with one thing changed next to it', async () => {
    const row = page.locator('.row').first();
    await row.getByRole('radio', { name: 'Confidence' }).check();
    await row.getByText('unsure').waitFor();
    await row.getByRole('radio', { name: 'Order' }).check();
    await row.getByText('filled first').waitFor();
    expect(await row.locator('.copy code').textContent()).toMatch(/tb-sample generate .*--seed 7/);
    await row.getByRole('button', { name: 'Generate next to it' }).click();
    await row.getByRole('heading', { name: 'Guidance 1' }).waitFor();
    await row
      .locator('.attempt')
      .nth(1)
      .getByText(/^Done in/)
      .waitFor();
  });

  it('cancels', async () => {
    await page.getByLabel('Images of each').fill('60');
    await page.getByLabel('Images of each').blur();
    await page.getByRole('button', { name: 'Generate', exact: true }).click();
    const row = page.locator('.row').first();
    await row.locator('.canvas img').first().waitFor();
    await row.getByRole('button', { name: 'Cancel' }).click();
    await row.getByText('Cancelled').waitFor({ timeout: 5000 });
  });

  it('fills a painted part again, by pointer or keys', async () => {
    await page.locator('.row').last().getByRole('button', { name: 'Edit coffee' }).first().click();
    const painter = page.getByRole('application');
    const box = (await painter.boundingBox())!;
    await page.mouse.move(box.x + 20, box.y + 20);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 30, { steps: 5 });
    await page.mouse.up();
    await page.getByLabel('Versions').focus();
    await painter.focus();
    for (const key of ['ArrowDown', 'ArrowDown', 'ArrowDown', 'ArrowDown', 'ArrowRight', ' '])
      await page.keyboard.press(key);
    await page.getByText('Row 5, column 2, painted').waitFor();
    await page.getByRole('button', { name: /^Fill \d+% of it again/ }).click();
    const versions = page.getByRole('region', { name: 'New versions' });
    await versions.getByText(/^Done in/).waitFor();
    expect(await finishedImages(page, '.versions')).toHaveLength(3);
  });

  it('reconstructs a photograph with the figures of tb-sample reconstruct', async () => {
    await openView(page, 'Reconstruct');
    await chooseFile(page, photo);
    await page.locator('.compared').waitFor();
    await page.getByLabel('Levels', { exact: true }).fill('8');
    await page.getByLabel('Levels', { exact: true }).blur();
    await page.getByRole('rowheader', { name: '8 levels, ±5' }).waitFor();
    const printed = await command(
      'sample',
      'reconstruct',
      photo,
      ...'--backend wasm --levels 8 --ranges 5 --grid'.split(' '),
      join(folder, 'grid.png'),
    );
    const [, alone, rounded] = /continuous\s+(\S+)[\s\S]*?\]\s+8\s+(\S+)/.exec(printed)!;
    expect((await figures(page)).map(([psnr]) => psnr)).toEqual([`${alone} dB`, `${rounded} dB`]);
  });

  it('follows a training run to its end', async () => {
    await openView(page, 'Runs');
    // Long enough that the page, which looks for new runs every ten seconds, sees it while it trains.
    const training = command(
      'train',
      'vae',
      '--data',
      join(root, 'apps/train/demo/photos'),
      ...'--image-size 32 --batch 2 --steps 48 --backend wasm --out'.split(' '),
      join(folder, 'first run'),
    );
    await page.getByText('first run is at step').waitFor({ timeout: 120_000 });
    await training;
    await page.getByText('first run is finished, at step 48.').waitFor({ timeout: 20_000 });
    await page.getByRole('heading', { name: 'Loss', exact: true }).waitFor();
  });

  it('has no faults that axe finds, in the light and in the dark, and fits a phone', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      for (const view of ['Generate', 'Edit', 'Reconstruct', 'Quantizer', 'Runs']) {
        await openView(page, view);
        await page.getByRole('heading', { level: 1 }).waitFor();
        expect(await accessibilityFaults(page), `${view}, ${colorScheme}`).toEqual([]);
      }
    }
    await page.setViewportSize({ width: 360, height: 740 });
    for (const view of ['Generate', 'Edit', 'Reconstruct', 'Quantizer', 'Runs']) {
      await openView(page, view);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      expect(overflow, view).toBeLessThanOrEqual(0);
    }
    expect(errors).toEqual([]);
  });
});
