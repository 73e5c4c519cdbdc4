// What a web page runs: nothing here or below may need Node.
import { useBackend } from '@tb/runtime';
import { generate, loadTokenBridge } from '@tb/tokenbridge';

/** Tokens of one image, of a model that came as the bytes of a file. */
async function sample(bytes: Uint8Array): Promise<Int32Array> {
  await useBackend('cpu');
  const model = await loadTokenBridge(bytes);
  const { tokens } = await generate({ ...model, labels: [3], seeds: [1], steps: 2 });
  return tokens.data<'int32'>();
}

Object.assign(globalThis, { sample });
