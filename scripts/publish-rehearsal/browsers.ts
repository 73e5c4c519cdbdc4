// Bundles every package that is for browsers, and samples from the demo's weights in Chromium.
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium } from 'playwright-core';
import { chromiumPath } from '../chromium.js';
import { bundleForServer, bundlers } from './bundlers.js';
import { forBrowsers, libraries } from './packages.js';
import { assert, root, run, step } from './scratch.js';

const demo = join(root, 'apps/train/demo');
/** @param installed - folder in which all packages are installed */
export async function useInBrowsers(installed: string): Promise<void> {
  const folder = join(installed, 'browsers');
  mkdirSync(folder);
  const names = forBrowsers.flatMap(({ exports }) => exports).filter((name) => !/\/tensorflow$/.test(name));
  writeFileSync(join(folder, 'entry.js'), importing(names));
  for (const [name, bundle] of Object.entries(bundlers))
    await step(`${names.length} entries bundled by ${name}`, () => bundle(folder, 'entry.js'));

  // @tb/xla loads a native module while it is imported, and so stays outside of bundles.
  const forServers = libraries
    .filter((each) => !forBrowsers.includes(each) && each.name !== '@tb/xla')
    .flatMap(({ exports }) => exports);
  writeFileSync(join(folder, 'server.js'), importing(forServers));
  await step(`${forServers.join(', ')} bundled for a server`, async () => {
    await bundleForServer(folder, 'server.js');
    await run('node', ['server/bundle.cjs'], { cwd: folder });
  });

  const executablePath = chromiumPath();
  if (!executablePath)
    return console.log('  no Chromium or Chrome found (TB_CHROMIUM names one): the bundles are not run');
  cpSync(fileURLToPath(new URL('browser', import.meta.url)), folder, { recursive: true });
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  const server = await serve({
    '/wasm/': join(installed, 'node_modules/@tensorflow/tfjs-backend-wasm/dist'),
    '/demo/': demo,
    '/': folder,
  });
  try {
    for (const name of Object.keys(bundlers))
      await step(`the bundle by ${name} in Chromium`, async () => {
        const loaded = await evaluate(browser, server.url, `/${name}/bundle.js`, 'globalThis.loaded');
        assert(loaded === names.length, `${name}: ${loaded} of ${names.length} entries are there in Chromium`);
      });
    await step('an image from the demo in Chromium, as in Node', () => sampleInBoth(installed, browser, server.url));
  } finally {
    await browser.close();
    server.close();
  }
}

/** A program that imports all names and leaves their number in `loaded`. */
function importing(names: string[]): string {
  const imports = names.map((name, i) => `import * as entry${i} from '${name}';\n`).join('');
  const entries = names.map((_, i) => `entry${i}`).join(', ');
  return `${imports}globalThis.loaded = [${entries}].filter((entry) => Object.keys(entry).length > 0).length;\n`;
}

async function sampleInBoth(installed: string, browser: Browser, url: string): Promise<void> {
  const folder = join(installed, 'browsers');
  await bundlers.Vite(folder, 'page.js');
  const inPage = (await evaluate(browser, url, '/Vite/bundle.js', 'globalThis.sampleFromDemo()')) as Sampled;
  const weights = ['model', 'vae'].map((name) => join(demo, `${name}.safetensors`));
  const inNode: Sampled = JSON.parse(
    (await run('node', ['node.js', ...weights], { cwd: folder })).trim().split('\n').at(-1)!,
  );
  const difference = inPage.tokens.filter((token, i) => token !== inNode.tokens[i]).length;
  assert(difference === 0, `${difference} of ${inNode.tokens.length} tokens differ between Chromium and Node`);
  assert(
    inPage.backend === 'wasm' && inPage.shape.join() === '1,64,64,3',
    `unexpected image: ${JSON.stringify(inPage)}`,
  );
  assert(Math.abs(inPage.brightness) < 1 && inPage.contrast > 0.05, `the image is empty: ${JSON.stringify(inPage)}`);
}

type Sampled = { backend: string; tokens: number[]; shape: number[]; brightness: number; contrast: number };

/** The value of an expression in a page that has loaded a script, errors of the page included. */
async function evaluate(browser: Browser, url: string, script: string, expression: string): Promise<unknown> {
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  await page.goto(`${url}/empty.html`);
  await page.addScriptTag({ url: script, type: 'module' });
  const value = await page.evaluate(expression).catch((error) => errors.push(error.message));
  await page.close();
  assert(errors.length === 0, `${script} in Chromium: ${errors.join('; ')}`);
  return value;
}

const types: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm' };

/** Serves folders under the prefixes of their addresses; the first that fits counts. */
async function serve(folders: Record<string, string>): Promise<{ url: string; close(): void }> {
  const server = createServer((request, response): void => {
    const path = normalize(decodeURIComponent(request.url ?? '/'));
    if (path === '/empty.html')
      return void response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>');
    const prefix = Object.keys(folders).find((each) => path.startsWith(each))!;
    const file = join(folders[prefix], path.slice(prefix.length));
    if (!existsSync(file)) return void response.writeHead(404).end();
    response
      .writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream' })
      .end(readFileSync(file));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://localhost:${(server.address() as AddressInfo).port}`, close: () => server.close() };
}
