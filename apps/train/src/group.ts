// What the commands that train do in one process of several.
import { fromFirstProcess, type JoinedProcesses } from '@tb/runtime';

/** Process 0 may have an autoencoder to load and images to encode. */
const timeoutMs = 30 * 60_000;

/** Whether this process reports, validates and writes for all: process 0, or one that works alone. */
export const isFirst = (group: JoinedProcesses | undefined): boolean => group === undefined || group.index === 0;

/** A function that prints lines, in the process that reports for all. */
export function reportOf(group: JoinedProcesses | undefined): (line: string) => void {
  return isFirst(group) ? console.error : () => {};
}

/** A number that process 0 has measured, in all processes: theirs could differ in the last digit. */
export function measuredOnce(
  group: JoinedProcesses | undefined,
  key: string,
  measure: () => Promise<number>,
): Promise<number> {
  return group ? fromFirstProcess(group, key, measure, { timeoutMs }) : measure();
}
