/** Frames of this package and of TensorFlow.js, which say nothing to the user. */
const internal =
  /@tensorflow\/|tfjs-core|node:internal|packages\/xla\/src\/|@tb\/xla\/|packages\/runtime\/src\/|@tb\/runtime\//;

/** ` (at file:line)`: where the user's code stands, or nothing when the stack does not say. */
export function userFrame(): string {
  const frames = (new Error().stack ?? '').split('\n').slice(1);
  const frame = frames.find((line) => !internal.test(line) || /\.test\.ts/.test(line));
  return frame ? ` (${frame.trim()})` : '';
}
