import { printable } from '@tb/io';

/** Rows as aligned columns: the first one to the left, the others, which hold numbers, to the right. */
export function textTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, ...rows].map((row) => row.map(printable));
  const widths = header.map((_, column) => Math.max(...lines.map((row) => row[column].length)));
  const align = (cell: string, column: number) =>
    column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]);
  return lines.map((row) => row.map(align).join('  ').trimEnd()).join('\n');
}

/** A number with fixed decimals, `-` where there is none. */
export const fixed = (value: number, decimals: number) => (Number.isNaN(value) ? '-' : value.toFixed(decimals));

/** A share as a percentage, `-` where there is none. */
export const percent = (share: number, decimals = 2) =>
  Number.isNaN(share) ? '-' : `${(100 * share).toFixed(decimals)}%`;
