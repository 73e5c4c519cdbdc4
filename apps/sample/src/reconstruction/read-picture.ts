import { UsageError } from '@tb/command-line';
import { decodeImage, type Pixels } from '@tb/trainer';

/** @throws UsageError that names a picture which cannot be read */
export async function readPicture(path: string): Promise<Pixels> {
  try {
    return await decodeImage(path);
  } catch (error) {
    throw new UsageError(`picture ${path} cannot be read: ${(error as Error).message}`);
  }
}
