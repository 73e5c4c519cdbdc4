/** Frames of this package and of TensorFlow.js, which do not help the user. */
const internal =
  /@tensorflow\/|tfjs-core|node:internal|packages\/xla\/src\/|@tb\/xla\/|packages\/runtime\/src\/|@tb\/runtime\//;

/** ` (at file:line)` of the user's code, or nothing if the stack does not show it. */
export function userFrame(): string {
  const frames = (new Error().stack ?? '').split('\n').slice(1);
  const frame = frames.find((line) => !internal.test(line) || /\.test\.ts/.test(line));
  return frame ? ` (${frame.trim()})` : '';
}
