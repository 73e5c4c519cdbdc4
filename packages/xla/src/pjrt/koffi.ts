/**
 * koffi, which calls C functions. Its own package has an install script that package managers ask their users to approve,
 * and that only builds what the prebuilt packages hold already: native modules, one package for each platform, with koffi's
 * interface. So those packages are the dependencies here, and koffi gives the types.
 */
import { createRequire } from 'node:module';
import type { default as Koffi } from 'koffi';

export type { KoffiFunc } from 'koffi';

const platform = `${process.platform}-${process.arch}`;

export const koffi = load();

/** @throws Error on a platform without a prebuilt module, or if the optional dependencies were left out */
function load(): typeof Koffi {
  const name = `@koromix/koffi-${platform}`;
  try {
    return createRequire(import.meta.url)(name);
  } catch (error) {
    throw new Error(
      `@tb/xla needs ${name}, which is not installed: install without --omit=optional (prebuilt are ` +
        'linux-x64, linux-arm64, darwin-x64, darwin-arm64 and win32-x64)',
      { cause: error },
    );
  }
}
