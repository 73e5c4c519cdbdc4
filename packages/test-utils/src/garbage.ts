import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');

/** Frees what JavaScript no longer reaches, which V8 would do when it pleases: what stays is held. */
export const collectGarbage = runInNewContext('gc') as () => void;
