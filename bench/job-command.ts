// Runs a command line of this project, and records when it printed what.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A line of standard error or output, and the seconds since the command began. */
export type TimedLine = { seconds: number; text: string };

/** What a command printed, and how long it took. */
export type CommandRun = { seconds: number; lines: TimedLine[] };

const programs = { 'tb-train': 'apps/train', 'tb-sample': 'apps/sample', 'tb-metrics': 'packages/metrics' } as const;

/**
 * Runs a program from its built entry, or from its sources where `entry` is `source`.
 *
 * @throws Error with its last lines if it fails
 */
export async function runCommand(
  program: keyof typeof programs,
  args: readonly string[],
  { entry, env }: { entry: 'source' | 'built'; env: Record<string, string> },
): Promise<CommandRun> {
  const place = (file: string) => fileURLToPath(new URL(`../${programs[program]}/${file}`, import.meta.url));
  const script = entry === 'built' ? place('dist/cli.js') : place('src/cli.ts');
  if (!existsSync(script)) throw new Error(`${script} does not exist: build first, or measure with --entry source`);
  const loader = entry === 'built' ? [] : ['--import', 'tsx', '--conditions=@tb/source'];
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1000;
  const lines: TimedLine[] = [];
  const child = spawn(process.execPath, [...loader, script, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) {
    let rest = '';
    stream.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\n');
      rest = parts.pop()!;
      for (const part of parts) lines.push({ seconds: seconds(), text: part });
    });
  }
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
  if (code !== 0) {
    const last = lines.slice(-10).map(({ text }) => text);
    throw new Error(`${program} ${args.join(' ')} ended with code ${code}:\n${last.join('\n')}`);
  }
  return { seconds: seconds(), lines };
}

const progress = /^(?:.* {2})?(\d+)\/(\d+) images/;

/**
 * Speed after start-up and start-up itself, from progress lines such as `12/64 images  2.0 images/s  26s left`.
 *
 * @returns seconds to the first line that counts finished images, and images per second between the first and the last line;
 *   undefined where fewer than two lines differ
 */
export function startAndRate(
  lines: readonly TimedLine[],
): { startSeconds: number; imagesPerSecond: number } | undefined {
  const counts = lines.flatMap(({ seconds, text }) => {
    const match = progress.exec(text);
    return match ? [{ seconds, done: Number(match[1]) }] : [];
  });
  const [first, last] = [counts[0], counts.at(-1)];
  if (!first || !last || last.done <= first.done) return undefined;
  return {
    startSeconds: counts.find(({ done }) => done > 0)!.seconds,
    imagesPerSecond: (last.done - first.done) / (last.seconds - first.seconds),
  };
}

/** When the first, or the last, line with such a text was printed. */
export function secondsOf(
  lines: readonly TimedLine[],
  text: RegExp,
  which: 'first' | 'last' = 'first',
): number | undefined {
  const found = lines.filter((each) => text.test(each.text));
  return (which === 'first' ? found[0] : found.at(-1))?.seconds;
}
