import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createContext, runInContext } from 'node:vm';
import { randomKey, useBackend } from '@tb/runtime';
import { build } from 'tsup';
import { afterAll, expect, it } from 'vitest';
import { withoutNode } from '../../../scripts/without-node.js';
import { tfjsGradients } from '../../runtime/scripts/tfjs-gradients.js';
import { generate, initTokenBridge, presets, saveTokenBridge, type TokenBridgeConfig } from '../src/index.js';

const small = { width: 16, depth: 1, heads: 2 };
const config: TokenBridgeConfig = {
  ...presets.tiny,
  latent: { height: 2, width: 2, channels: 16 },
  backbone: { ...presets.tiny.backbone, encoder: small, decoder: small },
  head: { ...presets.tiny.head, ...small },
};
const folder = mkdtempSync(join(tmpdir(), 'browser-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Bundles a program for browsers, from the sources of all packages. */
const bundle = (program: string) =>
  build({
    entry: [fileURLToPath(new URL(program, import.meta.url))],
    outDir: folder,
    config: false,
    silent: true,
    format: ['iife'],
    platform: 'browser',
    noExternal: [/./],
    removeNodeProtocol: false,
    esbuildPlugins: [tfjsGradients(), withoutNode()],
    esbuildOptions: (options) => {
      options.conditions = ['@tb/source'];
    },
  });

it('samples from fetched weights in a bundle for browsers, which has nothing of Node, as in Node', async () => {
  await useBackend('cpu');
  const params = initTokenBridge(randomKey(1), config);
  await saveTokenBridge(join(folder, 'model.safetensors'), { params, config });
  const { tokens } = await generate({ params, config, labels: [3], seeds: [1], steps: 2 });

  await bundle('browser-program.ts');
  const webWorker = {
    WorkerGlobalScope: class {},
    navigator: { userAgent: '' },
    performance,
    setTimeout,
    console,
    URL,
  };
  const context = createContext({ ...webWorker, TextDecoder, structuredClone });
  context.self = context;
  runInContext(readFileSync(join(folder, 'browser-program.global.js'), 'utf8'), context);
  context.file = readFileSync(join(folder, 'model.safetensors'));
  expect([...(await runInContext('sample(new Uint8Array(file))', context))]).toEqual([...tokens.dataSync()]);
});
