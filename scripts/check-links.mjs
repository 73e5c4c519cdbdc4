// Links between the Markdown files of the repository lead to files, folders and headings that exist.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file !== '' && existsSync(file) && !/^\.changeset\//.test(file));
const problems = files.flatMap(problemsOf);

function problemsOf(file) {
  const text = withoutCode(readFileSync(file, 'utf8'));
  const links = Array.from(text.matchAll(/\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)/g), ([, link]) => link);
  return links
    .filter((link) => !/^[a-z]+:/.test(link) && !leads(file, link))
    .map((link) => `${file}: broken link ${link}`);
}

function leads(file, link) {
  const [path, anchor] = link.split('#');
  const target = path === '' ? file : join(dirname(file), decodeURIComponent(path));
  if (!existsSync(target)) return false;
  return anchor === undefined || !target.endsWith('.md') || headings(target).has(anchor);
}

/** The anchors that GitHub gives to the headings of a page. */
function headings(file) {
  const seen = new Map();
  const titles = Array.from(withoutCode(readFileSync(file, 'utf8')).matchAll(/^#+ (.+)$/gm), ([, title]) => title);
  return new Set(
    titles.map((title) => {
      const plain = title.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
      const anchor = plain.replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/\s/g, '-');
      const count = seen.get(anchor) ?? 0;
      seen.set(anchor, count + 1);
      return count === 0 ? anchor : `${anchor}-${count}`;
    }),
  );
}

/** Links in code are examples. */
function withoutCode(markdown) {
  return markdown.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, (code) => code.replace(/[[\]()]/g, ''));
}

if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(1);
}
