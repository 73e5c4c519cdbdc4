// Chromium, and what serves the page: the real server, or any static host.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import axe from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';
import { chromiumPath } from '../../../../scripts/chromium.js';

export const root = fileURLToPath(new URL('../../../../', import.meta.url));

/** Whether these tests can run here. */
export const hasBrowser = chromiumPath() !== undefined;
if (!hasBrowser) console.log('no Chromium or Chrome found (TB_CHROMIUM names one): the page is not tested');

export const openBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath: chromiumPath(), args: ['--no-sandbox'] });

/** A page that fails the test for every error of its programs, its policy included. */
export async function openPage(browser: Browser, url: string, size = { width: 1280, height: 900 }) {
  const context = await browser.newContext({ viewport: size });
  const page = await context.newPage();
  await page.addInitScript('globalThis.__name = (value) => value'); // tsx puts it into functions that run in the page
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  await page.goto(url);
  await page.getByRole('button', { name: 'Generate', exact: true }).waitFor();
  return { page, context, errors };
}

/** Seconds until a program counts as hanging: less than the limit of a test, so that the error names the program. */
const secondsToStart = 100;
const secondsToFinish = 150;
const secondsToStop = 20;

function startCli(app: 'sample' | 'train', args: readonly string[]) {
  const entry = join(root, `apps/${app}/src/cli.ts`);
  const flags = ['--import', 'tsx', '--conditions=@tb/source', entry, ...args];
  const child = spawn(process.execPath, flags, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text) => {
      output += text;
    });
  const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
  /** Waits so long for something, and kills the program when it does not come. */
  const within = async <T>(seconds: number, what: string, event: Promise<T>): Promise<T> => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        child.kill('SIGKILL');
        reject(
          new Error(`tb-${app} ${args.join(' ')} did not ${what} within ${seconds} seconds. It printed: ${output}`),
        );
      }, 1000 * seconds);
    });
    return Promise.race([event, late]).finally(() => clearTimeout(timer));
  };
  return { child, closed, within, output: () => output };
}

/** Runs a command line to its end. @returns what it printed */
export async function command(app: 'sample' | 'train', ...args: string[]): Promise<string> {
  const { closed, within, output } = startCli(app, args);
  const code = await within(secondsToFinish, 'end', closed);
  if (code !== 0) throw new Error(`tb-${app} ${args.join(' ')} ended with ${code}: ${output()}`);
  return output();
}

/** Starts `tb-sample serve`. @returns its address */
export async function startServer(...args: string[]): Promise<{ url: string; stop(): Promise<void> }> {
  const server = startCli('sample', ['serve', '--port', '0', '--backend', 'wasm', ...args]);
  const { child, closed, within, output } = server;
  const address = new Promise<string>((resolve, reject) => {
    child.stdout.on('data', () => {
      const url = /the page is at (\S+)\n/.exec(output())?.[1];
      if (url) resolve(url);
    });
    closed.then(() => reject(new Error(`tb-sample serve ended: ${output()}`)));
  });
  return {
    url: await within(secondsToStart, 'print its address', address),
    async stop() {
      child.kill('SIGTERM');
      await within(secondsToStop, 'stop', closed);
    },
  };
}

const types: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.wasm': 'application/wasm',
};

/** Serves a folder below a path, as any static host does. @returns the address, and the bytes that each file was sent with */
export async function serveFolder(folder: string, path: string) {
  const sent = new Map<string, number>();
  const server = createServer((request, response): void => {
    const name = decodeURIComponent((request.url ?? '').split('?')[0]).replace(path, '') || 'index.html';
    const file = join(folder, name);
    if (!request.url?.startsWith(path) || !existsSync(file)) return void response.writeHead(404).end();
    const content = readFileSync(file);
    sent.set(name, content.length);
    response.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream' }).end(content);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
  return { url, sent, close: () => server.close() };
}

/** What axe finds wrong with the page as it is. */
export async function accessibilityFaults(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const results = await page.evaluate(() =>
    (globalThis as unknown as { axe: { run(): Promise<{ violations: Violation[] }> } }).axe.run(),
  );
  return results.violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} at ${target.join(' ')}: ${failureSummary}`),
  );
}

type Violation = { id: string; nodes: { target: string[]; failureSummary: string }[] };
