// Looks for links of a static site that lead nowhere.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** Links between pages of `site` whose file or anchor is missing, one line for each. */
export function findBrokenLinks(site: string): string[] {
  const pages = readdirSync(site, { encoding: 'utf8', recursive: true }).filter((name) => name.endsWith('.html'));
  const html = new Map(pages.map((name) => [join(site, name), readFileSync(join(site, name), 'utf8')]));
  const anchors = new Map(
    [...html].map(([path, text]) => [path, new Set(Array.from(text.matchAll(/ id="([^"]+)"/g), ([, id]) => id))]),
  );
  return [...html].flatMap(([path, text]) => {
    const links = new Set(
      Array.from(text.matchAll(/ (?:href|src)="([^"]+)"/g), ([, link]) => link.replaceAll('&amp;', '&')),
    );
    const isBroken = (link: string) => {
      if (/^(\w+:|\/\/)/.test(link)) return false;
      const [file, anchor] = link.split('#');
      const target = file === '' ? path : join(dirname(path), decodeURIComponent(file));
      if (!existsSync(target)) return true;
      return (
        anchor !== undefined &&
        anchor !== '' &&
        target.endsWith('.html') &&
        !anchors.get(target)?.has(decodeURIComponent(anchor))
      );
    };
    return [...links].filter(isBroken).map((link) => `${relative(site, path)}: broken link ${link}`);
  });
}
