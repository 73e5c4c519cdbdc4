// The code blocks of a README that a reader may run.
export type Block = { language: 'ts' | 'js' | 'sh'; code: string; line: number };
export type SkippedBlock = { line: number; reason: string };

const languages: Record<string, Block['language'] | undefined> = {
  ts: 'ts',
  typescript: 'ts',
  js: 'js',
  mjs: 'js',
  sh: 'sh',
  bash: 'sh',
};

/**
 * All blocks in TypeScript, JavaScript and shell. A comment `<!-- not run: reason -->` on the line before a block, or before
 * the blank line above it, leaves the block out.
 */
export function blocksOf(markdown: string): { blocks: Block[]; skipped: SkippedBlock[] } {
  const blocks: Block[] = [];
  const skipped: SkippedBlock[] = [];
  const lines = markdown.split('\n');
  for (let i = 0; i < lines.length; i++) {
    const language = languages[/^```(\w+)/.exec(lines[i])?.[1] ?? ''];
    if (!lines[i].startsWith('```')) continue;
    const begin = i + 1;
    const end = lines.indexOf('```', begin);
    if (end < 0) throw new Error(`line ${begin}: the code block does not end`);
    const before = lines.slice(0, i).findLast((line) => line.trim() !== '') ?? '';
    const reason = /^<!-- not run: (.+) -->$/.exec(before.trim())?.[1];
    if (language && reason) skipped.push({ line: begin, reason });
    else if (language) blocks.push({ language, code: `${lines.slice(begin, end).join('\n')}\n`, line: begin });
    i = end;
  }
  return { blocks, skipped };
}

/** The packages behind `npm install` in a README's shell blocks, options such as `--global` left out. */
export function installedPackages(blocks: Block[]): string[] {
  const lines = blocks.filter(({ language }) => language === 'sh').flatMap(({ code }) => code.split('\n'));
  const installs = lines.filter((line) => /^npm (install|i) /.test(line)).map((line) => line.replace(/#.*/, ''));
  return installs.flatMap((line) => line.split(/\s+/).slice(2)).filter((word) => word !== '' && !word.startsWith('-'));
}

/** A shell block without its `npm install` lines. */
export const withoutInstalls = (code: string): string => code.replace(/^npm (install|i) .*$/gm, '').trim();
