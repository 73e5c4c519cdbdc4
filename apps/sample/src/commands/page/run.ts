import { copyFile, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import { prepareFolder, UsageError } from '@tb/command-line';
import { startBackend } from '@tb/command-line/compute';
import { defaultMaxPixels } from '@tb/images';
import { writeFileAtomic } from '@tb/io';
import { disposeTree } from '@tb/runtime';
import { saveTokenBridge } from '@tb/tokenbridge';
import { findVae, type LoadedModel, type LoadedVae } from '@tb/trainer';
import { saveVae } from '@tb/vae';
import type { SiteFile, SiteWeights } from '../../../page/src/site/site-messages.js';
import { factsOf } from '../../page/compute.js';
import { megabytes } from '../../page/megabytes.js';
import { pageFolder } from '../../page/page-files.js';
import { findModel } from '../../weights.js';
import { describeWeights } from '../generate/image-folder.js';
import { infoOf, openPageModel } from '../serve/page-model.js';
import type { PageValues } from './options.js';

/** `tb-sample page`. */
export async function writeSite(values: PageValues): Promise<void> {
  const path = findModel(values);
  if (values.vae !== undefined) findVae(values.vae); // refuses before a backend is loaded
  const program = await pageFolder('site');
  await prepareFolder('--out', values.out);
  await assertSite(values.out);
  await startBackend({ backend: 'wasm' });
  const pageModel = await openPageModel(path, values);
  const { model, vae, thumbnails } = pageModel;

  await rm(join(values.out, 'assets'), { recursive: true, force: true });
  const files = [...(await copyProgram(program, values.out)), ...(await writeThumbnails(thumbnails, values.out))];
  const weights = await writeWeights(model, vae, values.out);
  const bytes = await sizeOf(files.map((name) => join(values.out, name)));
  const info = infoOf(pageModel, {
    facts: factsOf(model.config, vae.config),
    backend: 'wasm',
    hasRuns: false,
    thumbnailFolder,
    limits: { images: 16, uploadPixels: Math.min(defaultMaxPixels, 2 ** 26) },
  });
  const site: SiteFile = { info, ...weights, weights: describeWeights(model, vae), files, bytes };
  await writeFileAtomic(join(values.out, siteFile), `${JSON.stringify(site)}\n`);
  disposeTree([model.params, vae.params]);
  console.log(`site: ${values.out}`);
  console.log(`${megabytes(bytes)} for the page, ${megabytes(weights.model.bytes + weights.vae.bytes)} of weights`);
}

const siteFile = 'site.json';
const thumbnailFolder = 'classes';

/** @throws UsageError when the folder holds something else than a site, of which files might be lost */
async function assertSite(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => !name.startsWith('.'));
  if (names.length === 0 || names.includes(siteFile)) return;
  throw new UsageError(`--out ${folder} must be empty or hold a site of tb-sample page`);
}

/** Copies the built page. @returns the files, relative to the site */
async function copyProgram(program: string, out: string): Promise<string[]> {
  const names = await readdir(program, { recursive: true, withFileTypes: true });
  const files = names
    .filter((entry) => entry.isFile())
    .map((entry) => posix.join(posix.relative(program, entry.parentPath), entry.name));
  const target = (name: string) => (name === 'site.html' ? 'index.html' : name);
  for (const name of files) {
    await mkdir(dirname(join(out, name)), { recursive: true });
    await copyFile(join(program, name), join(out, target(name)));
  }
  return files.map(target).sort();
}

async function writeThumbnails(thumbnails: ReadonlyMap<number, Uint8Array>, out: string): Promise<string[]> {
  await mkdir(join(out, thumbnailFolder), { recursive: true });
  const names: string[] = [];
  for (const [label, png] of thumbnails) {
    const name = `${thumbnailFolder}/${label}.png`;
    names.push(name);
    await writeFile(join(out, name), png);
  }
  return names;
}

/** Writes both weights files under names that hold their hashes, so that browsers can keep them. */
async function writeWeights(model: LoadedModel, vae: LoadedVae, out: string): Promise<Pick<SiteFile, 'model' | 'vae'>> {
  const folder = join(out, 'weights');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  const place = async (
    kind: string,
    { path, sha256, prefix }: LoadedVae | LoadedModel,
    save: (path: string) => Promise<void>,
  ) => {
    const address = `weights/${kind}-${sha256.slice(0, 16)}.safetensors`;
    const isReady = path.endsWith('.safetensors') && prefix === '';
    await (isReady ? copyFile(path, join(out, address)) : save(join(out, address)));
    return { address, bytes: (await stat(join(out, address))).size } satisfies SiteWeights;
  };
  return {
    model: await place('model', model, (path) => saveTokenBridge(path, model)),
    vae: { ...(await place('vae', vae, (path) => saveVae(path, vae.params, vae.config))), config: vae.config },
  };
}

async function sizeOf(paths: readonly string[]): Promise<number> {
  let bytes = 0;
  for (const path of paths) bytes += (await stat(path)).size;
  return bytes;
}
