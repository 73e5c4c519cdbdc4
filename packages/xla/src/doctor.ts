/** Reports whether GPUs can be used on this machine, and if not, why and which command fixes it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { findNvrtc } from './cuda/nvrtc.js';
import type { DeviceMemory } from './executor.js';
import { createClient } from './pjrt/client.js';
import { PjrtError } from './pjrt/errors.js';
import { loadPlugin, type Plugin, PluginNotFoundError } from './pjrt/plugin.js';

/** What `xlaInfo` found: the plugin, its devices, and the reason if no GPU can be used. */
export type XlaInfo = {
  /** True when a plugin loaded and found devices. */
  usable: boolean;
  plugin?: {
    path: string;
    /** What led to it: an environment variable, a Python environment or a folder. */
    source: string;
    /** PJRT C API version, such as `0.115`. */
    apiVersion: string;
    /** The plugin's own properties, such as `stablehlo_current_version` and `cuda_version`. */
    attributes: Readonly<Record<string, string | number | boolean | number[]>>;
  };
  /** `cuda`, … */
  platform?: string;
  platformVersion?: string;
  devices: { id: number; kind: string; memory?: DeviceMemory }[];
  /** Version of the NVIDIA kernel driver. */
  driver?: string;
  /** The run-time compiler of kernels in CUDA C++. Without it operations run as XLA compiles them. */
  kernels?: { compiler: string; version: string } | { reason: string; fix?: string };
  /** Where no plugin was found. */
  looked: { source: string; reason: string }[];
  /** Why no GPU is used, and the command or setting that fixes it; a machine without a GPU has no fix. */
  reason?: string;
  fix?: string;
};

export type Symptoms = {
  operatingSystem: NodeJS.Platform;
  /** Version of the NVIDIA driver; absent where none is loaded. */
  driver?: string;
  /** Whether the machine has an NVIDIA GPU, where that is known. */
  hasGpu?: boolean;
  error: unknown;
};

/** The first driver for CUDA 13; older ones serve CUDA 12. Source: NVIDIA's CUDA compatibility table. */
const CUDA_13_DRIVER = 580;

function installCommand(driver: string | undefined): string {
  const old = driver !== undefined && Number.parseInt(driver, 10) < CUDA_13_DRIVER;
  return `pip install 'jax[${old ? 'cuda12' : 'cuda13'}]'`;
}

type Diagnosis = { reason: string; fix?: string };

/** Known messages of the loader and the plugin, and what fixes their cause. */
function knownProblem(message: string, driver: string | undefined): Diagnosis | undefined {
  const library = /(lib[\w.+-]+\.so[\w.]*): cannot open shared object/.exec(message)?.[1];
  if (library) return { reason: `the plugin needs ${library}, which is not installed`, fix: installCommand(driver) };
  if (/driver version is insufficient|CUDA_ERROR_SYSTEM_DRIVER_MISMATCH|unsupported toolchain/i.test(message)) {
    const reason = `the NVIDIA driver (${driver ?? 'unknown version'}) is too old for the plugin's CUDA`;
    return { reason, fix: "update the driver, or pip install 'jax[cuda12]'" };
  }
  if (/NO_DEVICE|no CUDA-capable device|no supported devices|failed call to cuInit/i.test(message)) {
    const reason = 'the driver shows no GPU to this process';
    return { reason, fix: 'check nvidia-smi, CUDA_VISIBLE_DEVICES, and for containers the option --gpus all' };
  }
  if (/RESOURCE_EXHAUSTED|out of memory/i.test(message)) {
    const reason = "the GPU's memory is taken by another process";
    return { reason, fix: 'end the process that nvidia-smi shows, or set TB_XLA_MEMORY_FRACTION=0.4' };
  }
  return undefined;
}

/** The reason behind an error of loading or opening a plugin, in words, with the fix if there is one. */
export function diagnose({ operatingSystem, driver, hasGpu, error }: Symptoms): Diagnosis {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof PluginNotFoundError) {
    if (operatingSystem !== 'linux') {
      const reason = `PJRT's CUDA plugin exists only for Linux; this is ${operatingSystem}`;
      return { reason, fix: 'run on Linux (on Windows inside WSL 2), or choose another backend' };
    }
    if (driver === undefined && hasGpu === false) return { reason: 'this machine has no NVIDIA GPU' };
    if (driver === undefined) {
      const reason = 'no NVIDIA driver is loaded (/proc/driver/nvidia/version is missing)';
      return { reason, fix: `install the NVIDIA driver, then ${installCommand(driver)}` };
    }
    const reason = 'no PJRT plugin was found';
    return { reason, fix: `${installCommand(driver)} in the active Python environment, or set TB_PJRT_PLUGIN` };
  }
  const known = knownProblem(message, driver);
  if (known) return known;
  const fix =
    error instanceof PjrtError ? 'see the message; TF_CPP_MIN_LOG_LEVEL=0 shows more' : installCommand(driver);
  return { reason: message, fix };
}

/** Undefined where no driver is loaded. */
function driverVersion(): string | undefined {
  try {
    const text = readFileSync('/proc/driver/nvidia/version', 'utf8');
    return / (\d+\.\d+(?:\.\d+)?) /.exec(text)?.[1];
  } catch {
    return undefined;
  }
}

/** Whether an NVIDIA GPU is on the PCI bus; undefined where it may be elsewhere, as under WSL and on ARM boards. */
function findGpu(): boolean | undefined {
  if (process.arch !== 'x64' || existsSync('/dev/dxg')) return undefined;
  const bus = '/sys/bus/pci/devices';
  const read = (device: string, file: string) => readFileSync(`${bus}/${device}/${file}`, 'utf8');
  const isDisplay = (device: string) => read(device, 'class').startsWith('0x03');
  try {
    return readdirSync(bus).some((device) => read(device, 'vendor').trim() === '0x10de' && isDisplay(device));
  } catch {
    return undefined;
  }
}

function describePlugin({ api, location, attributes }: Plugin): XlaInfo['plugin'] {
  const { major, minor } = api.version;
  return { path: location.path, source: location.source, apiVersion: `${major}.${minor}`, attributes };
}

/** Opens the devices for a moment, with no memory taken ahead, and closes them. */
function describeDevices(plugin: Plugin): Pick<XlaInfo, 'platform' | 'platformVersion' | 'devices'> {
  const client = createClient(plugin, /cuda|rocm|gpu/.test(plugin.location.path) ? { preallocate: false } : {});
  try {
    const { platform, platformVersion } = client;
    const devices = client.devices.map(({ id, kind }, index) => {
      try {
        return { id, kind, memory: client.memory(index) };
      } catch {
        return { id, kind }; // a plugin need not count memory
      }
    });
    return { platform, platformVersion, devices };
  } finally {
    client.destroy();
  }
}

/**
 * What `tb-train doctor` shows. Never throws: whatever goes wrong becomes `reason` and `fix`.
 *
 * @param load - how the plugin is loaded; a path, or for tests a function. Default: as the backend does it
 */
export function xlaInfo(load: string | (() => Plugin) | undefined = undefined): XlaInfo {
  const driver = driverVersion();
  const info: XlaInfo = { usable: false, devices: [], looked: [], ...(driver !== undefined && { driver }) };
  try {
    const plugin = typeof load === 'function' ? load() : loadPlugin(load);
    info.plugin = describePlugin(plugin);
    Object.assign(info, describeDevices(plugin));
    info.usable = info.devices.length > 0;
    if (info.platform === 'cuda') info.kernels = describeKernels(plugin);
    if (!info.usable) Object.assign(info, knownProblem('NO_DEVICE', driver));
  } catch (error) {
    if (error instanceof PluginNotFoundError) info.looked = error.looked;
    Object.assign(info, diagnose({ operatingSystem: process.platform, driver, hasGpu: findGpu(), error }));
  }
  return info;
}

function describeKernels({ location }: Plugin): XlaInfo['kernels'] {
  const search = findNvrtc(location.nvidiaFolder);
  return 'nvrtc' in search ? { compiler: search.nvrtc.path, version: search.nvrtc.version } : search;
}

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

function formatKernels(kernels: NonNullable<XlaInfo['kernels']>): string {
  if ('version' in kernels) return `NVRTC ${kernels.version}, ${kernels.compiler}`;
  return `not available: ${kernels.reason}${kernels.fix ? `; ${kernels.fix}` : ''}`;
}

/** Formats a report of `xlaInfo` as lines for a terminal. */
export function formatXlaInfo(info: XlaInfo): string {
  const { plugin } = info;
  const lines = [
    `OpenXLA     ${info.usable ? 'usable' : 'not usable'}`,
    `driver      ${info.driver ?? 'none'}`,
    `plugin      ${plugin ? `${plugin.path} (from ${plugin.source}), PJRT API ${plugin.apiVersion}` : 'none'}`,
  ];
  if (info.platform) lines.push(`platform    ${info.platform} ${info.platformVersion ?? ''}`.trimEnd());
  for (const { id, kind, memory } of info.devices) {
    lines.push(`device ${id}    ${kind}${memory ? `, ${gibibytes(memory.bytesLimit)} usable` : ''}`);
  }
  if (info.kernels) lines.push(`kernels     ${formatKernels(info.kernels)}`);
  for (const { source, reason } of info.looked) lines.push(`looked at   ${source}: ${reason}`);
  if (info.reason) lines.push(`reason      ${info.reason}`);
  if (info.fix) lines.push(`fix         ${info.fix}`);
  return lines.join('\n');
}
