// The code blocks of a README that a reader may run.
/** `extension` is that of the file in which a reader saves the block: modules are told from scripts by it. */
export type Block = { extension: 'mts' | 'mjs' | 'sh'; code: string; line: number };
export type SkippedBlock = { line: number; reason: string };

const extensions: Record<string, Block['extension'] | undefined> = { ts: 'mts', js: 'mjs', sh: 'sh' };

/**
 * All blocks in TypeScript, JavaScript and shell. A comment `<!-- not run: reason -->` on the line before a block, or before
 * the blank line above it, leaves the block out.
 */
export function blocksOf(markdown: string): { blocks: Block[]; skipped: SkippedBlock[] } {
  const blocks: Block[] = [];
  const skipped: SkippedBlock[] = [];
  const lines = markdown.split('\n');
  for (let i = 0; i < lines.length; i++) {
    const extension = extensions[/^```(\w+)/.exec(lines[i])?.[1] ?? ''];
    if (!lines[i].startsWith('```')) continue;
    const begin = i + 1;
    const end = lines.indexOf('```', begin);
    if (end < 0) throw new Error(`line ${begin}: the code block does not end`);
    const before = lines.slice(0, i).findLast((line) => line.trim() !== '') ?? '';
    const reason = /^<!-- not run: (.+) -->$/.exec(before.trim())?.[1];
    if (extension && reason) skipped.push({ line: begin, reason });
    else if (extension) blocks.push({ extension, code: `${lines.slice(begin, end).join('\n')}\n`, line: begin });
    i = end;
  }
  return { blocks, skipped };
}

/** The packages behind `npm install` in a README's shell blocks, options such as `--global` left out. */
export function installedPackages(blocks: Block[]): string[] {
  const lines = blocks.filter(({ extension }) => extension === 'sh').flatMap(({ code }) => code.split('\n'));
  const installs = lines.filter((line) => /^npm (install|i) /.test(line)).map((line) => line.replace(/#.*/, ''));
  return installs.flatMap((line) => line.split(/\s+/).slice(2)).filter((word) => word !== '' && !word.startsWith('-'));
}

/** A shell block without its `npm install` lines. */
export const withoutInstalls = (code: string): string => code.replace(/^npm (install|i) .*$/gm, '').trim();
