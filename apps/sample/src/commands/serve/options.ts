import {
  backendOptions,
  changeDefaults,
  integer,
  list,
  maxPixelsOption,
  type Overrides,
  resolve,
  text,
  toggle,
  UsageError,
  type Values,
} from '@tb/command-line';
import { generateOptions, type WithWeightSet, weightOptions, withWeightSet } from '../generate/options.js';

export const serveOptions = {
  ...backendOptions,
  ...weightOptions,
  ...changeDefaults({ batch: generateOptions.batch }, { batch: 4 }),
  port: integer('port of the page, 0 for any that is free', { max: 65535, default: 8790 }),
  host: text('address to listen on; any but loopback lets other machines in, with a token', {
    placeholder: 'address',
    default: '127.0.0.1',
  }),
  allowHost: list('further names under which the page is reached, such as that of a proxy', 'name,…'),
  open: toggle('open the page in the browser', { default: false }),
  runs: text('folder whose training runs can be looked at', 'folder'),
  maxImages: integer('most images of one request', { min: 1, max: 4096, default: 64 }),
  queue: integer('jobs that may compute or wait at a time', { min: 1, max: 10_000, default: 16 }),
  timeLimit: integer('seconds that one job may take', { min: 1, max: 1_000_000, default: 600 }),
  maxPixels: maxPixelsOption,
};

export type ServeValues = WithWeightSet<Values<typeof serveOptions>> & {
  /** The flags about weights and backend that were typed, for equal command lines. */
  typed: Overrides<typeof serveOptions>;
};

/** @throws UsageError when options exclude each other or a name is not that of a host */
export function resolveServe(flags: Overrides<typeof serveOptions>): ServeValues {
  const values = withWeightSet(resolve(serveOptions, flags));
  const wrong = values.allowHost?.find((name) => !/^[a-z0-9._-]+$/i.test(name));
  if (wrong !== undefined)
    throw new UsageError(`--allow-host must be names of hosts without ports, got ${JSON.stringify(wrong)}`);
  return { ...values, typed: flags };
}
