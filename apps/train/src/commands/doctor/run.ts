import { UsageError } from '@tb/command-line';
import { useBackend } from '@tb/runtime';
import { tensorflowDoctor } from '@tb/runtime/tensorflow';
import { type XlaInfo, xlaInfo } from '@tb/xla';
import * as tf from '@tensorflow/tfjs-core';
import { version } from '../../package.js';
import type { DoctorValues } from './options.js';

/** What was found about one backend. */
type Finding = {
  backend: string;
  isAvailable: boolean;
  /** One line: what runs, or why nothing does. */
  reason: string;
  /** Further lines on what was found. */
  details: string[];
  /** What makes it available; absent where this machine cannot have it. */
  fix?: string;
};

/** `tb-train doctor`. Fails when no backend can use the device that was asked for. */
export async function runDoctor(values: DoctorValues): Promise<void> {
  console.log(`tb-train ${version}, Node ${process.version} on ${process.platform} ${process.arch}\n`);
  const findings = [findXla(), await findTensorflow(values), await findWasm()];
  const cpu = { backend: 'cpu', isAvailable: true, reason: 'plain JavaScript, slow: for checking the others' };
  for (const { backend, isAvailable, reason } of [...findings, cpu])
    console.log(`${backend.padEnd(10)}  ${isAvailable ? 'available' : 'not available'}: ${reason}`);
  for (const { backend, details } of findings)
    if (details.length > 0) console.log(`\n${backend}\n${indent(details.join('\n'))}`);

  const fixes = findings.filter(({ isAvailable, fix }) => !isAvailable && fix !== undefined);
  for (const { backend, fix } of fixes) console.log(`\nTo use ${backend}:\n${indent(fix!)}`);

  const best = findings.find(({ isAvailable }) => isAvailable)?.backend ?? 'cpu';
  if (values.device === 'gpu' && best === 'wasm')
    throw new UsageError('no backend can use a GPU on this machine; the lines above give the reasons');
  console.log(`\nCommands on this machine will run on: ${best}.`);
}

function findXla(): Finding {
  const info = xlaInfo();
  const { usable: isAvailable, devices, driver, kernels, plugin, reason = 'no device was found', fix } = info;
  const kinds = devices.map(({ kind, memory }) => `${kind}${memory ? ` (${gibibytes(memory.bytesLimit)})` : ''}`);
  const details = [
    ...(plugin ? [`plugin ${plugin.path} (from ${plugin.source}), PJRT API ${plugin.apiVersion}`] : []),
    ...(driver === undefined ? [] : [`NVIDIA driver ${driver}`]),
    ...(kernels === undefined ? [] : [describeKernels(kernels)]),
    ...searched(info),
  ];
  return { backend: 'xla', isAvailable, reason: isAvailable ? kinds.join(', ') : reason, details, fix };
}

function describeKernels(kernels: NonNullable<XlaInfo['kernels']>): string {
  if ('version' in kernels) return `CUDA kernels are compiled by NVRTC ${kernels.version}, ${kernels.compiler}`;
  return `no CUDA kernels: ${kernels.reason}${kernels.fix ? `; ${kernels.fix}` : ''}`;
}

/** Where a plugin was looked for. It matters only on a machine that has a driver, or where one was named. */
function searched({ usable, driver, looked }: XlaInfo): string[] {
  const places = looked.filter(({ reason }) => reason !== 'not set');
  const isNamed = process.env.TB_PJRT_PLUGIN !== undefined || process.env.PJRT_PLUGIN_LIBRARY_PATH !== undefined;
  return !usable && (driver !== undefined || isNamed)
    ? places.map(({ source, reason }) => `looked for a plugin in ${source}: ${reason}`)
    : [];
}

/** The addon decides what loads: the Python that it was built against may be out of reach. */
async function findTensorflow({ device, python }: DoctorValues): Promise<Finding> {
  const checks = await tensorflowDoctor({ device, python });
  const addon = checks.find(({ name }) => name === 'addon');
  const isAvailable = addon?.ok === true;
  const failed = checks.flatMap((check) => (check.ok ? [] : [check.problem]));
  const details = isAvailable
    ? checks.flatMap((check) => (check.ok && check !== addon ? [`${check.name}: ${check.found}`] : []))
    : [];
  const [problem] = failed;
  const reason = addon?.ok ? addon.found : (problem?.what ?? 'it does not load');
  const isMissing = problem?.code === 'no-tensorflow' || problem?.code === 'no-python';
  const link = isMissing ? 'tb-train link-tensorflow' : undefined;
  const steps = failed.map(({ code, remedy }) => (code === 'not-linked' && link ? link : remedy));
  return { backend: 'tensorflow', isAvailable, reason, details, fix: steps.join('\n') };
}

async function findWasm(): Promise<Finding> {
  tf.enableProdMode();
  const result = await useBackend('wasm').then(
    ({ reason }) => ({ isAvailable: true, reason }),
    (error: Error) => ({ isAvailable: false, reason: error.message }),
  );
  return { backend: 'wasm', ...result, details: [] };
}

const gibibytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(0)} GiB`;

const indent = (text: string) => text.replace(/^/gm, '  ');
