import { readFileSync } from 'node:fs';

/** Of this package; its manifest lies one folder above, in the sources as in the built file. */
export const version: string = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version;
