import { UsageError } from '@tb/command-line';
import { useBackend } from '@tb/runtime';
import { tensorflowDoctor } from '@tb/runtime/tensorflow';
import { formatXlaInfo, xlaInfo } from '@tb/xla';
import * as tf from '@tensorflow/tfjs-core';
import type { DoctorValues } from './options.js';

/** `tb-train doctor`. Fails when the device that was asked for cannot be used by any engine. */
export async function runDoctor({ device, python }: DoctorValues): Promise<void> {
  console.log(`Node ${process.version} on ${process.platform} ${process.arch}\n`);
  const xla = xlaInfo();
  console.log(`xla\n${indent(formatXlaInfo(xla))}\n`);

  console.log('tensorflow');
  const checks = await tensorflowDoctor({ device, python });
  for (const check of checks) {
    console.log(indent(check.ok ? `${check.name}: ${check.found}` : `${check.name}: ${check.problem.message}`));
  }
  // The addon by itself decides what loads: the Python that it came from may be out of reach.
  const tensorflow = checks.some(({ name, ok }) => name === 'addon' && ok);

  tf.enableProdMode();
  const wasm = await useBackend('wasm').then(
    ({ reason }) => reason,
    (error: Error) => `does not load: ${error.message}`,
  );
  console.log(`\nwasm\n${indent(wasm)}\n`);

  const best = xla.usable ? 'xla' : tensorflow ? 'tensorflow' : 'wasm';
  if (device === 'gpu' && best === 'wasm')
    throw new UsageError('no engine can use a GPU here; the lines above say why');
  console.log(`--backend auto takes ${best}`);
}

const indent = (text: string) => text.replace(/^/gm, '  ');
