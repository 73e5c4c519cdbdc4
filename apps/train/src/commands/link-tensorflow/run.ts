import { linkTensorflow } from '@tb/runtime/tensorflow';
import type { LinkValues } from './options.js';

/** `tb-train link-tensorflow`. */
export async function link({ gpu, cpu, python }: LinkValues): Promise<void> {
  const device = gpu ? 'gpu' : cpu ? 'cpu' : undefined;
  await linkTensorflow({ python, device, onProgress: (line) => console.error(line) });
}
