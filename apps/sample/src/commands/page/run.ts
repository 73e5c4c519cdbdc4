import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, posix } from 'node:path';
import { prepareFolder, UsageError } from '@tb/command-line';
import { startBackend } from '@tb/command-line/compute';
import { defaultMaxPixels } from '@tb/images';
import { writeFileAtomic } from '@tb/io';
import { disposeTree } from '@tb/runtime';
import { saveTokenBridge } from '@tb/tokenbridge';
import { classNamesOf, findVae, type LoadedModel, type LoadedVae } from '@tb/trainer';
import { saveVae } from '@tb/vae';
import type { SiteFile, SiteWeights } from '../../../page/src/site/site-messages.js';
import { factsOf } from '../../page/compute.js';
import type { ModelInfo } from '../../page/messages.js';
import { pageFolder } from '../../page/page-files.js';
import { version } from '../../version.js';
import { findModel, openTokenModel, openVaeFor, type TokenModel } from '../../weights.js';
import { describeWeights } from '../generate/image-folder.js';
import { readClassNames } from '../generate/jobs.js';
import { makeThumbnails } from '../serve/thumbnails.js';
import type { PageValues } from './options.js';

/** `tb-sample page`. */
export async function writeSite(values: PageValues): Promise<void> {
  const path = findModel(values);
  if (values.vae !== undefined) findVae(values.vae); // refuses before a backend is loaded
  const program = await pageFolder('site');
  await prepareFolder('--out', values.out);
  await assertSite(values.out);
  await startBackend({ backend: 'wasm' });
  const model = await openTokenModel(path, values);
  const vae = await openVaeFor(model, values);
  const file = values.classNames;
  const classNames = file === undefined ? classNamesOf(model) : await readClassNames(file, model.config.classes);
  const thumbnails = await makeThumbnails(path, classNames);

  await rm(join(values.out, 'assets'), { recursive: true, force: true });
  const files = [...(await copyProgram(program, values.out)), ...(await writeThumbnails(thumbnails, values.out))];
  const weights = await writeWeights(model, vae, values.out);
  const bytes = await sizeOf(files.map((name) => join(values.out, name)));
  const info = infoOf(model, vae, classNames, thumbnails);
  const site: SiteFile = { info, ...weights, weights: describeWeights(model, vae), files, bytes };
  await writeFileAtomic(join(values.out, siteFile), `${JSON.stringify(site)}\n`);
  disposeTree([model.params, vae.params]);
  console.log(`site: ${values.out}`);
  console.log(`${megabytes(bytes)} for the page, ${megabytes(weights.model.bytes + weights.vae.bytes)} of weights`);
}

const siteFile = 'site.json';

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
  await mkdir(join(out, 'classes'), { recursive: true });
  const names: string[] = [];
  for (const [label, png] of thumbnails) {
    names.push(`classes/${label}.png`);
    await writeFile(join(out, 'classes', `${label}.png`), png);
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

function infoOf(
  model: TokenModel,
  vae: LoadedVae,
  classNames: readonly string[],
  thumbnails: ReadonlyMap<number, unknown>,
): ModelInfo {
  const facts = factsOf(model.config, vae.config);
  const { height, width } = facts.grid;
  return {
    ...facts,
    version,
    model: basename(model.path),
    backend: 'wasm',
    classes: classNames.map((name, label) => ({
      label,
      name,
      thumbnail: thumbnails.has(label) ? `classes/${label}.png` : null,
    })),
    limits: {
      images: 16,
      steps: Math.max(height * width, facts.presets[0].settings.steps),
      guidance: 100,
      temperature: 10,
      uploadBytes: 2 ** 25,
      uploadPixels: Math.min(defaultMaxPixels, 2 ** 26),
      levels: 256,
      range: { min: 0.01, max: 100 },
    },
    hasRuns: false,
  };
}

async function sizeOf(paths: readonly string[]): Promise<number> {
  let bytes = 0;
  for (const path of paths) bytes += (await readFile(path)).length;
  return bytes;
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
