import {
  createStatusLine,
  excludeFromSpeed,
  formatDuration,
  isOtherLineShown,
  printMessage,
  type Terminal,
} from '@tb/io';
import type { CompileEvent } from '@tb/runtime';

/** Programs of less than this many seconds are not worth a line. */
const shortest = 1;

type Running = { name: string; isCached: boolean; expectedSeconds?: number; since: number };

/**
 * Shows which programs are compiled, and leaves the time that they take from the main thread out of speeds. Programs that this
 * thread compiles get a line before and after; those that other threads compile share a status line that moves, for as long as
 * no other line shows progress.
 */
export function createCompileProgress(stream: Terminal = process.stderr, now: () => number = Date.now) {
  const line = createStatusLine(stream, now);
  const running: Running[] = [];
  let timer: NodeJS.Timeout | undefined;
  const show = (isDue = false) => {
    if (!isOtherLineShown(line)) line.show(describeRunning(running, now()), isDue);
  };
  const stop = () => {
    clearInterval(timer);
    timer = undefined;
    if (!isOtherLineShown(line)) line.end();
  };
  return (event: CompileEvent): void => {
    if (event.state === 'ready') excludeFromSpeed(event.blockedSeconds);
    if (event.state === 'waited') {
      excludeFromSpeed(event.seconds);
      return;
    }
    if (event.isAhead) {
      if (event.state === 'begun') {
        const { name, isCached, expectedSeconds } = event;
        running.push({ name: name || 'a program', isCached, expectedSeconds, since: now() });
        if (!timer) {
          timer = setInterval(() => show(), 1000).unref();
          setTimeout(() => running.length > 0 && timer && show(true), 200).unref(); // once the first programs have begun
        }
      } else {
        const place = running.findIndex(({ name }) => name === (event.name || 'a program'));
        if (place >= 0) running.splice(place, 1);
        if (running.length === 0) stop();
      }
    }
    const text = describeCompiling(event);
    if (text !== undefined) printMessage(text, stream);
  };
}

/** `compiling trainStep ×4 (12s of about 50s), loading fillPositions (1s)`. */
function describeRunning(running: readonly Running[], time: number): string {
  const groups = new Map<string, Running[]>();
  for (const program of running) {
    const key = `${program.isCached ? 'loading' : 'compiling'} ${program.name}`;
    groups.set(key, [...(groups.get(key) ?? []), program]);
  }
  const texts = Array.from(groups, ([key, programs]) => {
    const [{ since, expectedSeconds, isCached }] = programs;
    const seconds = formatDuration((time - since) / 1000);
    const of = expectedSeconds === undefined || isCached ? '' : ` of about ${formatDuration(expectedSeconds)}`;
    return `${key}${programs.length > 1 ? ` ×${programs.length}` : ''} (${seconds}${of})`;
  });
  return texts.join(', ');
}

/** A line about a program that is compiled or loaded; undefined where that is too quick to be noticed, or the status shows it. */
export function describeCompiling(event: CompileEvent): string | undefined {
  const name = event.name || 'a program';
  if (event.state === 'failed' || event.state === 'waited') return undefined; // the error itself is reported where the program is needed
  if (event.state === 'begun') {
    const { isAhead, isCached, expectedSeconds } = event;
    if (isAhead || isCached || (expectedSeconds !== undefined && expectedSeconds < shortest)) return undefined;
    return `compiling ${name}${expectedSeconds === undefined ? '' : ` (${formatDuration(expectedSeconds)} last time)`}`;
  }
  if (event.seconds < shortest) return undefined;
  const took = formatDuration(event.seconds);
  return event.isCached ? `${name} loaded from the cache folder in ${took}` : `${name} compiled in ${took}`;
}
