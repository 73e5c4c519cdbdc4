import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeImage, readPngSettings } from '@tb/images';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chooseFile, chooseSettings, figures, finishedImages, generateAndWatch, openView } from './actions.js';
import { accessibilityFaults, command, hasBrowser, openBrowser, openPage, root, serveFolder } from './browser.js';

const photo = join(root, 'apps/train/demo/photos/coffee.png');

describe.skipIf(!hasBrowser)('the static site of tb-sample page', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tb-site-'));
  let browser: Browser;
  let host: Awaited<ReturnType<typeof serveFolder>>;
  let page: Page;
  let context: BrowserContext;
  let errors: string[];

  beforeAll(async () => {
    await command('sample', 'page', '--out', join(folder, 'site'));
    browser = await openBrowser();
    host = await serveFolder(join(folder, 'site'), '/some/path/');
    ({ page, context, errors } = await openPage(browser, host.url));
  });
  afterAll(async () => {
    await browser?.close();
    host?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('is small until an image is asked for', async () => {
    const shown = await page.evaluate(() =>
      performance.getEntriesByType('resource').map(({ name }) => name.replace(document.baseURI, '')),
    );
    const bytes = ['index.html', ...shown].reduce((sum, name) => sum + (host.sent.get(name) ?? 0), 0);
    console.log(`first screen: ${bytes} bytes`);
    expect(bytes).toBeLessThan(300_000);
    expect([...host.sent.keys()].filter((name) => name.startsWith('weights/'))).toEqual([]);
  });

  it('fills an image with the pixels and settings of tb-sample generate', async () => {
    await chooseSettings(page, { name: 'coffee', count: 1, seed: 7 });
    const { seen, firstPreview } = await generateAndWatch(page);
    console.log(`first preview after ${firstPreview} ms, loading included`);
    expect(seen[0].masked).toBeGreaterThan(0);
    expect(seen.at(-1)!.masked).toBe(0);
    const out = join(folder, 'samples');
    await command('sample', 'generate', ...'--backend wasm --classes coffee --seed 7 --out'.split(' '), out);
    const [image] = await finishedImages(page);
    expect(image).toEqual(await decodeImage(join(out, 'class-0003-000000.png')));
    const settings = readPngSettings(Buffer.from(seen.at(-1)!.source.split(',')[1], 'base64'));
    expect(settings).toMatchObject({ class: 'coffee', seed: 7, cfg: 3, model: { file: 'model.safetensors' } });
  });

  it('cancels', async () => {
    await page.getByLabel('Images of each').fill('12');
    await page.getByLabel('Images of each').blur();
    await page.getByRole('button', { name: 'Generate', exact: true }).click();
    const row = page.locator('.row').first();
    await row.locator('.canvas img').first().waitFor();
    await row.getByRole('button', { name: 'Cancel' }).click();
    await row.getByText('Cancelled').waitFor({ timeout: 10_000 });
  });

  it('reconstructs a photograph with the figures of tb-sample reconstruct', async () => {
    await openView(page, 'Reconstruct');
    await chooseFile(page, photo);
    await page.locator('.compared').waitFor();
    const grid = join(folder, 'grid.png');
    const printed = await command(
      'sample',
      'reconstruct',
      photo,
      ...'--backend wasm --levels 64 --ranges 5'.split(' '),
      '--grid',
      grid,
    );
    const [, alone, rounded] = /continuous\s+(\S+)[\s\S]*?\]\s+64\s+(\S+)/.exec(printed)!;
    expect((await figures(page)).map(([psnr]) => psnr)).toEqual([`${alone} dB`, `${rounded} dB`]);
    expect(await accessibilityFaults(page)).toEqual([]);
  });

  it('works without a network afterwards', async () => {
    const isReady = await page.evaluate(() => {
      const late = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 60_000));
      return Promise.race([navigator.serviceWorker.ready.then(() => true), late]); // without a worker it is never ready
    });
    expect(isReady, 'the service worker is ready within a minute').toBe(true);
    await context.setOffline(true);
    await page.reload();
    await openView(page, 'Generate');
    await chooseSettings(page, { name: 'coffee', count: 1, seed: 7 });
    await generateAndWatch(page);
    await context.setOffline(false);
    expect(errors).toEqual([]);
  });
});
