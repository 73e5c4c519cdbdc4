/** Finds the PJRT plugins on this machine, and the NVIDIA libraries that belong to each. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

export type PluginLocation = {
  path: string;
  /** What led to it: an environment variable, a Python environment or a folder. */
  source: string;
  /** The `nvidia` folder of the Python environment that the plugin is in. */
  nvidiaFolder?: string;
};

export type Discovery = {
  /** Found plugins, best first. */
  found: PluginLocation[];
  /** Every place without a plugin that was searched, with the reason. */
  missed: { source: string; reason: string }[];
};

/** Names of plugins in the folders that `PJRT_PLUGIN_LIBRARY_PATH` lists and in the usual ones. */
const PLUGIN_FILE = /^(lib)?(pjrt_c_api_.*plugin|xla_(cuda|rocm)_plugin|pjrt_plugin_.*)\.so$/;
const ACCELERATED = /cuda|gpu|rocm/;

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** JAX's plugin packages: `jax_plugins/xla_cuda13/xla_cuda_plugin.so`; the newest CUDA first. */
function jaxPlugins(sitePackages: string, source: string): PluginLocation[] {
  const folder = join(sitePackages, 'jax_plugins');
  const nvidiaFolder = join(sitePackages, 'nvidia');
  return listFolder(folder)
    .reverse()
    .flatMap((name) => ['xla_cuda_plugin.so', 'xla_rocm_plugin.so'].map((file) => join(folder, name, file)))
    .filter((path) => existsSync(path))
    .map((path) => ({ path, source, ...(existsSync(nvidiaFolder) && { nvidiaFolder }) }));
}

function pluginsInFolder(folder: string, source: string): PluginLocation[] {
  const files = listFolder(folder).filter((name) => PLUGIN_FILE.test(name));
  files.sort((a, b) => Number(ACCELERATED.test(b)) - Number(ACCELERATED.test(a)));
  return files.map((name) => ({ path: join(folder, name), source }));
}

/** Python's own answer for where it keeps packages; empty where the command does not run. */
function sitePackagesOf(python: string): string[] {
  const script =
    'import json, site, sysconfig; print(json.dumps([sysconfig.get_path("purelib"), *site.getsitepackages(), site.getusersitepackages()]))';
  const run = spawnSync(python, ['-c', script], { encoding: 'utf8', timeout: 20_000 });
  if (run.status !== 0) return [];
  return [...new Set(JSON.parse(run.stdout) as string[])];
}

function virtualEnvironment(folder: string): string[] {
  return listFolder(join(folder, 'lib'))
    .filter((name) => name.startsWith('python'))
    .map((name) => join(folder, 'lib', name, 'site-packages'));
}

/** A path from an environment variable: a plugin itself, or a folder of plugins. */
function namedPath(path: string, source: string): PluginLocation[] {
  if (!existsSync(path)) return [];
  if (statSync(path).isDirectory()) return pluginsInFolder(path, source);
  const nvidiaFolder = join(dirname(path), '..', '..', 'nvidia');
  return [{ path, source, ...(existsSync(nvidiaFolder) && { nvidiaFolder }) }];
}

type Source = { name: string; absent?: string; find: () => PluginLocation[]; empty: string };

function sources(environment: NodeJS.ProcessEnv): Source[] {
  const libraryPath = environment.PJRT_PLUGIN_LIBRARY_PATH;
  const listed: Source = {
    name: 'PJRT_PLUGIN_LIBRARY_PATH',
    ...(libraryPath ? {} : { absent: 'not set' }),
    find: () => (libraryPath ?? '').split(':').flatMap((path) => namedPath(path, 'PJRT_PLUGIN_LIBRARY_PATH')),
    empty: `no plugin at ${libraryPath}`,
  };
  const environmentFolder = (name: string): Source => {
    const folder = environment[name];
    const find = () => (folder ? virtualEnvironment(folder).flatMap((path) => jaxPlugins(path, name)) : []);
    return { name, ...(folder ? {} : { absent: 'not set' }), find, empty: `no jax_plugins in ${folder}` };
  };
  const python: Source = {
    name: 'python3',
    find: () => sitePackagesOf('python3').flatMap((path) => jaxPlugins(path, 'python3')),
    empty: "python3 is missing or has no package of JAX's CUDA plugin",
  };
  const folders = [join(homedir(), '.local', 'lib', 'go-xla'), '/usr/local/lib/go-xla', '/usr/local/lib/pjrt'];
  const usual = folders.map((folder): Source => {
    return { name: folder, find: () => pluginsInFolder(folder, folder), empty: 'no plugin in this folder' };
  });
  return [listed, environmentFolder('VIRTUAL_ENV'), environmentFolder('CONDA_PREFIX'), python, ...usual];
}

/** The plugin at a path that the caller names: a file, or a folder of plugins. */
export function pluginsAt(path: string, source = 'the plugin option'): Discovery {
  const found = namedPath(path, source);
  return { found, missed: found.length > 0 ? [] : [{ source, reason: `no plugin at ${path}` }] };
}

/**
 * Looks for plugins, in this order: `TB_PJRT_PLUGIN` (nothing else counts when it is set), `PJRT_PLUGIN_LIBRARY_PATH`
 * (folders or files separated by colons), the active virtual or conda environment, python3's packages, and
 * `~/.local/lib/go-xla`, `/usr/local/lib/go-xla`, `/usr/local/lib/pjrt`. Stops at the first place that has one.
 */
export function discoverPlugins(environment: NodeJS.ProcessEnv = process.env): Discovery {
  if (environment.TB_PJRT_PLUGIN) return pluginsAt(environment.TB_PJRT_PLUGIN, 'TB_PJRT_PLUGIN');
  const missed: Discovery['missed'] = [{ source: 'TB_PJRT_PLUGIN', reason: 'not set' }];
  for (const { name, absent, find, empty } of sources(environment)) {
    const found = absent ? [] : find();
    if (found.length > 0) return { found, missed };
    missed.push({ source: name, reason: absent ?? empty });
  }
  return { found: [], missed };
}

// In the order in which they need each other; each package lays its libraries in one of two folders: cu12 had one folder
// per library, cu13 has one for the toolkit. Source: the list that JAX's CUDA plugin package preloads.
const NVIDIA_LIBRARIES: readonly [folder: string, library: RegExp][] = [
  ['cuda_runtime', /^libcudart\.so\.\d+$/],
  ['cuda_nvrtc', /^libnvrtc\.so\.\d+$/],
  ['nvjitlink', /^libnvJitLink\.so\.\d+$/],
  ['cublas', /^libcublasLt\.so\.\d+$/],
  ['cublas', /^libcublas\.so\.\d+$/],
  ['cuda_cupti', /^libcupti\.so\.\d+$/],
  ['cusparse', /^libcusparse\.so\.\d+$/],
  ['cusolver', /^libcusolver\.so\.\d+$/],
  ['cufft', /^libcufft\.so\.\d+$/],
  ['nccl', /^libnccl\.so\.\d+$/],
  ['nvshmem', /^libnvshmem_host\.so\.\d+$/],
  ['cudnn', /^libcudnn\.so\.\d+$/],
];

/** The NVIDIA libraries to load before the plugin, which then finds them without LD_LIBRARY_PATH. */
export function nvidiaLibraries(nvidiaFolder: string): string[] {
  const toolkits = listFolder(nvidiaFolder).filter((name) => /^cu\d+$/.test(name));
  return NVIDIA_LIBRARIES.flatMap(([folder, library]) => {
    const places = [...toolkits, folder].map((name) => join(nvidiaFolder, name, 'lib'));
    const found = places.flatMap((place) =>
      listFolder(place)
        .filter((name) => library.test(name))
        .map((name) => join(place, name)),
    );
    return found.slice(0, 1);
  });
}

/** The folder with `nvvm/libdevice` and `bin/ptxas`, which XLA needs when it compiles for a GPU. */
export function cudaDataFolder(nvidiaFolder: string): string | undefined {
  const candidates = [...listFolder(nvidiaFolder).filter((name) => /^cu\d+$/.test(name)), 'cuda_nvcc'];
  return candidates
    .map((name) => join(nvidiaFolder, name))
    .find((folder) => existsSync(join(folder, 'nvvm', 'libdevice')));
}
