import { packageVersion } from '@tb/command-line';

export const version = packageVersion(import.meta.url);
