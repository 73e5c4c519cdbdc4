import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { sample } from './sample.js';

const bytes = async (path) => new Uint8Array(await (await fetch(path)).arrayBuffer());

setWasmPaths('/wasm/');
Object.assign(globalThis, {
  sampleFromDemo: async () => sample(await bytes('/demo/model.safetensors'), await bytes('/demo/vae.safetensors')),
});
