/** Loads a PJRT plugin into this process. A plugin can be loaded only once and never unloaded. */

import { openApi, type PjrtApi } from './call.js';
import {
  cudaDataFolder,
  type Discovery,
  discoverPlugins,
  nvidiaLibraries,
  type PluginLocation,
  pluginsAt,
} from './discovery.js';
import { koffi } from './koffi.js';
import { configureStacks, readText, viewMemory } from './memory.js';
import { Functions, NamedValueType, readFields, Structs } from './structs.js';

export type Plugin = {
  readonly api: PjrtApi;
  /** The address of its `PJRT_Api`. */
  readonly table: bigint;
  readonly location: PluginLocation;
  /** What the plugin reports of itself, such as `stablehlo_current_version: [1, 17, 0]`. */
  readonly attributes: Readonly<Record<string, string | number | boolean | number[]>>;
};

/** No plugin was found; `looked` lists the places that were searched. */
export class PluginNotFoundError extends Error {
  override readonly name = 'PluginNotFoundError';
  readonly looked: Discovery['missed'];

  constructor(looked: Discovery['missed']) {
    const places = looked.map(({ source, reason }) => `\n  ${source}: ${reason}`).join('');
    super(
      "loadPlugin: no PJRT plugin found. Install JAX's (pip install 'jax[cuda13]') into the active Python environment, " +
        `or name one with TB_PJRT_PLUGIN. Looked at:${places}`,
    );
    this.looked = looked;
  }
}

const loaded = new Map<string, Plugin>();

function prepareProcess(location: PluginLocation): void {
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2'; // errors, no information and warnings
  if (!location.nvidiaFolder) return;
  const folder = cudaDataFolder(location.nvidiaFolder);
  const flags = process.env.XLA_FLAGS ?? '';
  // Reaches the plugin's getenv from the main thread alone: Node's Workers have their own copy of the environment.
  if (folder && !flags.includes('xla_gpu_cuda_data_dir')) {
    process.env.XLA_FLAGS = `${flags} --xla_gpu_cuda_data_dir=${folder}`.trim();
  }
  for (const library of nvidiaLibraries(location.nvidiaFolder)) {
    try {
      koffi.load(library);
    } catch {
      // The system may have another one. If not, loading the plugin reports what is missing.
    }
  }
}

function loadTable(path: string): bigint {
  try {
    return BigInt(koffi.load(path).func('GetPjrtApi', 'uint64_t', [])());
  } catch (error) {
    throw new Error(`loadPlugin: ${path} does not load: ${(error as Error).message}`);
  }
}

function readAttributes(api: PjrtApi): Plugin['attributes'] {
  const { attributes, num_attributes } = api.call(Functions.Plugin_Attributes, {});
  return readNamedValues(attributes, Number(num_attributes));
}

/** Reads PJRT's array of named values. */
export function readNamedValues(attributes: bigint, length: number): Plugin['attributes'] {
  const result: Record<string, string | number | boolean | number[]> = {};
  const stride = Math.ceil(Structs.NamedValue.size / 8) * 8;
  for (let index = 0; index < length; index += 1) {
    const view = viewMemory(attributes + BigInt(index * stride), stride);
    const entry = readFields(view, Structs.NamedValue);
    const name = readText(entry.name, Number(entry.name_size));
    const valueOffset = Structs.NamedValue.offsets.value;
    const count = Number(entry.value_size);
    if (entry.type === NamedValueType.string) result[name] = readText(entry.value, count);
    else if (entry.type === NamedValueType.int64) result[name] = Number(entry.value);
    else if (entry.type === NamedValueType.int64List) {
      const list = viewMemory(entry.value, count * 8);
      result[name] = Array.from({ length: count }, (_, place) => Number(list.getBigInt64(place * 8, true)));
    } else if (entry.type === NamedValueType.float) result[name] = view.getFloat32(valueOffset, true);
    else result[name] = view.getUint8(valueOffset) !== 0;
  }
  return result;
}

/** A plugin from an API table that is in memory already. */
export function adoptPlugin(table: bigint, location: PluginLocation): Plugin {
  const api = openApi(table);
  api.call(Functions.Plugin_Initialize, {});
  return { api, table, location, attributes: readAttributes(api) };
}

/**
 * Loads the plugin at `path`, or the best one found (see `discoverPlugins`).
 * @throws PluginNotFoundError when there is none
 * @throws Error when the library does not load, with the loader's message
 */
export function loadPlugin(path?: string): Plugin {
  const { found, missed } = path === undefined ? discoverPlugins() : pluginsAt(path);
  const location = found[0];
  if (!location) throw new PluginNotFoundError(missed);
  const before = loaded.get(location.path);
  if (before) return before;
  configureStacks();
  prepareProcess(location);
  const plugin = adoptPlugin(loadTable(location.path), location);
  loaded.set(location.path, plugin);
  return plugin;
}
