/** What inspect found, as headed pieces. The text shows them in order; the JSON holds the same. */
export type Inspection = {
  kind: string;
  facts: Record<string, string | number>;
  tensors?: TensorLine[];
  tables?: { title: string; header: string[]; rows: string[][] }[];
  /** JSON that the file itself holds: configuration, metadata, settings. */
  details?: Record<string, unknown>;
};

export type TensorLine = { name: string; dtype: string; shape: readonly number[] };

export const elements = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);

/** Numbers in all tensors together. */
export const countElements = (tensors: readonly TensorLine[]) =>
  tensors.reduce((sum, { shape }) => sum + elements(shape), 0);

/** `1234567` as `1,234,567`. */
export const withSeparators = (count: number) => count.toLocaleString('en-US');
