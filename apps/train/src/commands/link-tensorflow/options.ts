import { type Overrides, resolve, text, toggle, UsageError, type Values } from '@tb/command-line';

export const linkOptions = {
  python: text('Python whose TensorFlow is linked', { placeholder: 'command', default: 'python3' }),
  gpu: toggle('link only if TensorFlow runs on a GPU'),
  cpu: toggle('link for the CPU'),
};

export type LinkValues = Values<typeof linkOptions>;

export function resolveLink(flags: Overrides<typeof linkOptions>): LinkValues {
  if (flags.gpu && flags.cpu) throw new UsageError('--gpu and --cpu exclude each other');
  return resolve(linkOptions, flags);
}
