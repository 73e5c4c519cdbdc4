import { printable } from '@tb/io';

/** Rows as aligned columns: the first to the left, numbers to the right. */
export function textTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows].map((row) => row.map(printable));
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column].length)));
  const line = (row: readonly string[]) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))).join('  ');
  return all.map((row) => line(row).trimEnd()).join('\n');
}

/** A number with fixed decimals, `-` where there is none. */
export const fixed = (value: number, decimals: number) => (Number.isNaN(value) ? '-' : value.toFixed(decimals));

export const percent = (share: number) => (Number.isNaN(share) ? '-' : `${(100 * share).toFixed(2)}%`);
