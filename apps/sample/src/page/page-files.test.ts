import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pageFolder } from './page-files.js';

describe('the built page', () => {
  it('is small, and has neither programs nor styles of other origins or in its text', async () => {
    const folder = await pageFolder();
    const html = readFileSync(join(folder, 'index.html'), 'utf8');
    const addresses = Array.from(html.matchAll(/(?:src|href)="([^"]*)"/g), ([, address]) => address);
    expect(addresses.length).toBeGreaterThan(2);
    for (const address of addresses) expect(address).toMatch(/^\.\/assets\//);
    expect(html).not.toMatch(/<script(?![^>]*src=)|<style|\son\w+=|\sstyle=/);
    const bytes = addresses.reduce((sum, address) => sum + readFileSync(join(folder, address)).length, html.length);
    expect(bytes).toBeLessThan(300_000);
  });
});
