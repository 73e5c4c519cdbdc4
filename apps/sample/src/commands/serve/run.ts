import { spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename } from 'node:path';
import { backendOptions, flagName, listenForStop, UsageError } from '@tb/command-line';
import { startBackend } from '@tb/command-line/compute';
import { defaultMaxPixels, encodePng } from '@tb/images';
import { printable, reasonOf } from '@tb/io';
import { backendTraits, disposeTree } from '@tb/runtime';
import { findVae, type LoadedVae } from '@tb/trainer';
import { imageSimilarity } from '../../images.js';
import { createPageCompute, type PageCompute } from '../../page/compute.js';
import type { ModelInfo } from '../../page/messages.js';
import { pageFolder } from '../../page/page-files.js';
import { findModel } from '../../weights.js';
import { describeBackend, describeWeights, pngOfImage } from '../generate/image-folder.js';
import { seedOf } from '../generate/jobs.js';
import { weightOptions } from '../generate/options.js';
import { isLoopback, newToken } from './access.js';
import { openServer } from './http-server.js';
import type { ServeValues } from './options.js';
import { readPage } from './page-contents.js';
import { infoOf, openPageModel } from './page-model.js';
import { openRuns } from './runs.js';
import { createService } from './service.js';
import { createUploads } from './uploads.js';

/** `tb-sample serve`. */
export async function serve(values: ServeValues): Promise<void> {
  const path = findModel(values);
  if (values.vae !== undefined) findVae(values.vae); // refuses before a backend is loaded
  const page = await readPage(await pageFolder());
  if (values.runs !== undefined && !(existsSync(values.runs) && statSync(values.runs).isDirectory()))
    throw new UsageError(`--runs ${values.runs} is not a folder`);
  const token = isLoopback(values.host) ? undefined : newToken();
  const names = [...(values.allowHost ?? []), ...(token === undefined ? [] : [hostname()])];
  const access = { host: values.host, names: names.map((name) => name.toLowerCase()), token };
  const server = await openServer({ ...values, access, page, onError }); // refuses a port in use before the model is loaded
  const stop = listenForStop('stopping');
  const closers: (() => unknown)[] = [() => server.close(), () => stop.close()];
  try {
    const { service, free } = await startService(values, path, token !== undefined);
    closers.unshift(() => service.close());
    closers.push(free);
    server.start(service);
    const address = `${server.address}${token === undefined ? '' : `?token=${token}`}`;
    console.log(`the page is at ${address}`);
    if (values.open) openBrowser(address);
    await untilAborted(stop.signal);
  } finally {
    for (const close of closers) await close();
  }
}

/** Loads everything that answers requests. */
async function startService(values: ServeValues, path: string, isShared: boolean) {
  const backend = await startBackend(values);
  const pageModel = await openPageModel(path, values);
  const { model, vae, classNames, thumbnails } = pageModel;
  const { precision, batch, maxImages, maxPixels = defaultMaxPixels, runs, queue, timeLimit } = values;
  const computed = describeBackend(backend, precision);
  const weights = describeWeights(model, vae);
  const compute = createPageCompute({
    model,
    vae,
    classNames,
    batchSize: batch,
    precision,
    encodePng,
    encodeFinished: (image, settings, { name, label, index, seed }) =>
      pngOfImage(image, { ...weights, ...settings }, { backend: computed, class: name, label, index, seed }),
    seedOf,
    similarity: imageSimilarity,
  });
  await warmUp(compute);
  const info = infoOf(pageModel, {
    facts: compute.facts,
    backend: computed,
    hasRuns: runs !== undefined,
    thumbnailFolder: 'api/classes',
    limits: { images: maxImages, uploadPixels: maxPixels },
  });
  const service = createService({
    compute,
    info,
    uploads: createUploads({ size: info.image.height, maxPixels }),
    runs: runs === undefined ? undefined : await openRuns(runs),
    thumbnails,
    queueLength: queue,
    timeLimit,
    flags: { generate: typedFlags(values, isShared), reconstruct: reconstructFlags(values, vae, info, isShared) },
    onError,
  });
  const free = () => {
    compute.dispose();
    disposeTree([model.params, vae.params]);
  };
  return { service, free };
}

/** Computes an image, so that the first one of the page does not wait until programs are compiled and memory is there. */
async function warmUp(compute: PageCompute): Promise<void> {
  const { settings } = compute.facts.presets[0];
  const steps = backendTraits().compilesPerShape ? settings.steps : 2;
  const request = { ...settings, steps, seed: 0, classes: [0], count: 1, previewEvery: 1 };
  await compute.generate(request, { emit: () => {}, signal: new AbortController().signal });
}

/** The flags about weights and backend that were typed. Other machines need not know where files are on this one. */
function typedFlags({ typed, batch }: ServeValues, isShared: boolean): string[] {
  const names = Object.keys({ ...weightOptions, ...backendOptions }) as (keyof typeof typed)[];
  const flags = names.flatMap((name) => {
    const value = typed[name];
    if (value === undefined) return [];
    if (typeof value === 'boolean') return [value ? `--${flagName(name)}` : `--no-${flagName(name)}`];
    return [`--${flagName(name)}`, isShared ? basename(String(value)) : String(value)];
  });
  return backendTraits().compilesPerShape ? [...flags, '--batch', String(batch)] : flags;
}

function reconstructFlags({ typed }: ServeValues, vae: LoadedVae, { image }: ModelInfo, isShared: boolean): string[] {
  const isDefault = typed.model === undefined && typed.vae === undefined;
  const file = isDefault ? [] : ['--vae', isShared ? basename(vae.path) : vae.path];
  const scale = typed.latentScale === undefined ? [] : ['--latent-scale', String(typed.latentScale)];
  const backend = typed.backend === undefined ? [] : ['--backend', typed.backend];
  return [...file, ...scale, ...backend, '--image-size', String(image.height)];
}

function onError(error: unknown): void {
  console.error(printable(process.env.TB_DEBUG ? String((error as Error)?.stack ?? error) : reasonOf(error)));
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve());
  });
}

/** Opens an address with the program that the system has for it. It does not matter if there is none. */
function openBrowser(address: string): void {
  const [program, ...args] =
    process.platform === 'darwin'
      ? ['open', address]
      : process.platform === 'win32'
        ? ['rundll32', 'url.dll,FileProtocolHandler', address]
        : ['xdg-open', address];
  const child = spawn(program, args, { stdio: 'ignore', detached: true });
  child.on('error', () => console.error('no browser was found; open the address above'));
  child.unref();
}
