import { homedir } from 'node:os';
import { join } from 'node:path';

/** The user's cache folder, by the custom of the system: XDG on Linux, Library/Caches on macOS. */
export function defaultCacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  if (environment.TB_CACHE) return environment.TB_CACHE;
  if (process.platform === 'win32') return join(environment.LOCALAPPDATA ?? homedir(), 'tokenbridge');
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'tokenbridge');
  return join(environment.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tokenbridge');
}
