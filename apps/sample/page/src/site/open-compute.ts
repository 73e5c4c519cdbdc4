// Loads the weights and makes what computes, in the Worker.
import { withPngSettings } from '@tb/images';
import { useBackend } from '@tb/runtime';
import { loadTokenBridge } from '@tb/tokenbridge';
import { loadVae } from '@tb/vae';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import simdProgram from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url';
import * as tf from '@tensorflow/tfjs-core';
import { imageSimilarity, statedFacts } from '../../../src/images.js';
import { createPageCompute, type PageCompute } from '../../../src/page/compute.js';
import { fetchWeights } from './fetch-weights.js';
import { encodePng } from './pixels.js';
import type { Loading, SiteFile } from './site-messages.js';

/** @throws Error with a sentence for people, when something cannot be fetched or the browser lacks something */
export async function openCompute(
  page: string,
  site: SiteFile,
  report: (loading: Loading) => void,
): Promise<PageCompute> {
  const backend = startWasm();
  const total = site.model.bytes + site.vae.bytes;
  const loaded = { model: 0, vae: 0 };
  const reporting = (name: 'model' | 'vae') => (bytes: number) => {
    loaded[name] = bytes;
    report({ loaded: loaded.model + loaded.vae, total, isReady: false });
  };
  const [modelBytes, vaeBytes] = await Promise.all([
    fetchWeights(page, site.model, reporting('model')),
    fetchWeights(page, site.vae, reporting('vae')),
    backend,
  ]);
  const { config } = site.vae;
  const compute = createPageCompute({
    model: await loadTokenBridge(modelBytes),
    vae: { params: await loadVae(vaeBytes, config), config },
    classNames: site.info.classes.map(({ name }) => name),
    batchSize: 4,
    encodePng,
    async encodeFinished(image, settings, { name, label, index, seed }) {
      const facts = { backend: site.info.backend, class: name, label, index, seed };
      const stated = statedFacts(site.info.version, { ...site.weights, ...settings }, facts);
      return withPngSettings(await encodePng(image), stated);
    },
    seedOf,
    similarity: imageSimilarity,
  });
  report({ loaded: total, total, isReady: true });
  return compute;
}

async function startWasm(): Promise<void> {
  // Threads need headers that a static host does not send.
  tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  if (!(await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT')))
    throw new Error('This browser is too old: it has no WebAssembly with SIMD.');
  const address = new URL(simdProgram, import.meta.url).href;
  setWasmPaths({
    'tfjs-backend-wasm-simd.wasm': address,
    'tfjs-backend-wasm.wasm': address, // TensorFlow.js wants all three, and takes the one above
    'tfjs-backend-wasm-threaded-simd.wasm': address,
  });
  await useBackend('wasm');
}

/** The seed of an image, as `tb-sample generate` makes it: the first eight bytes of a SHA-256. */
async function seedOf(seed: number, label: number, index: number): Promise<bigint> {
  if (!crypto.subtle) throw new Error('Browsers compute seeds only for pages with https, or of this computer.');
  const text = new TextEncoder().encode(`tokenbridge/${seed}/${label}/${index}`);
  return new DataView(await crypto.subtle.digest('SHA-256', text)).getBigUint64(0);
}
