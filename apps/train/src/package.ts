import { fileURLToPath } from 'node:url';
import { packageVersion } from '@tb/command-line';

export const version = packageVersion(import.meta.url);

/** A folder of this package. The sources and the built file are both one folder below the package. */
export const packageFolder = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));
