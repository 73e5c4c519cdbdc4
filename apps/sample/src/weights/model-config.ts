import { readFile } from 'node:fs/promises';
import { UsageError } from '@tb/command-line';
import { reasonOf } from '@tb/io';
import {
  assertTokenBridgeConfig,
  configFromOfficial,
  type OfficialArguments,
  type TokenBridgeConfig,
} from '@tb/tokenbridge';

/**
 * Reads a model's configuration: JSON of a `TokenBridgeConfig`, or of the arguments that the official code builds it with.
 *
 * @throws UsageError when the file is missing, no JSON, or describes no model
 */
export async function readModelConfig(path: string): Promise<TokenBridgeConfig> {
  try {
    const content = JSON.parse(await readFile(path, 'utf8')) as Partial<OfficialArguments & TokenBridgeConfig>;
    if (content.latent === undefined) return configFromOfficial(content as OfficialArguments);
    assertTokenBridgeConfig(content as TokenBridgeConfig);
    return content as TokenBridgeConfig;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(
      `--model-config ${path} cannot be used: ${code === 'ENOENT' ? 'it does not exist' : reasonOf(error)}`,
    );
  }
}
