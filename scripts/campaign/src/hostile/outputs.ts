// Names from outside in everything that shows them: terminal, HTML, JSON lines, TensorBoard events, messages of errors.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeImage, describeListing, encodePng, listClasses, readPngSettings, withPngSettings } from '@tb/images';
import { writeSafetensors } from '@tb/io';
import { createRunLog, describeWeights, readRecords, readWeightsInfo, renderReport } from '@tb/trainer';
import { faultOf, observe, steersTerminal } from '../reading.js';
import type { GroupReport } from './group.js';
import { hostileNames } from './hostile-names.js';

/** Folder, below that of the group, with files of weights whose classes have hostile names. */
const weightsFolder = 'weights';

export async function attackNames(folder: string): Promise<GroupReport> {
  const faults: string[] = [];
  mkdirSync(join(folder, weightsFolder));
  for (const [index, [what, name]] of hostileNames.entries()) {
    const place = join(folder, String(index));
    const found = [
      ...(await inRunFolder(join(place, 'run'), name)),
      ...(await inImages(join(place, 'images'), name)),
      ...(await inWeights(join(folder, weightsFolder, `${index}.safetensors`), name)),
    ];
    faults.push(...found.map((fault) => `a name that ${what}: ${fault}`));
  }
  return { tried: hostileNames.length, faults };
}

const tags = /<(script|img|svg|b)\b/i;

/** What may be in the HTML of a report besides text. */
const withoutOwnTags = (html: string) =>
  html.replace(/<style>.*?<\/style>/gs, '').replace(/<svg viewBox[^>]*>.*?<\/svg>/gs, '');

async function inRunFolder(out: string, name: string): Promise<string[]> {
  const printed: string[] = [];
  const terminal = { isTTY: false, columns: 80, write: (text: string) => printed.push(text) > 0 };
  const log = createRunLog({ out, title: name, config: { data: name, [name]: name }, terminal: terminal as never });
  log.found(name);
  await log.begin({ step: 0, retries: 0, smoothedLoss: null, seconds: 0, seed: 0, config: {} }, 1);
  log.badImage({ path: name, reason: name });
  log.print(name);
  log.validation(1, { [name]: 1 });
  await log.report([name]);
  const faults: string[] = [];
  const shown = printed.join('');
  if (steersTerminal(shown)) faults.push(`the terminal gets ${JSON.stringify(shown.slice(0, 200))}`);
  const html = readFileSync(join(out, 'report.html'), 'utf8');
  if (tags.test(withoutOwnTags(html))) faults.push('the report has its HTML');
  if (readRecords(join(out, 'log.jsonl')).length !== 3) faults.push('a line of the log is lost');
  const bad = readRecords(join(out, 'log.jsonl')).find(({ event }) => event === 'bad-image');
  if (bad?.path !== name) faults.push('the log has another name');
  for (const file of readdirSync(out).filter((entry) => entry.startsWith('events.')))
    if (!areWholeEvents(readFileSync(join(out, file)))) faults.push('the events of TensorBoard are broken');
  const other = renderReport({
    title: name,
    config: {},
    records: [],
    images: [{ title: name, png: new Uint8Array(8) }],
    tables: [{ title: name, heads: [name], rows: [[name]], note: name }],
  });
  if (/<(script|svg|b)\b|onerror=[^&]*alert/i.test(withoutOwnTags(other).replace(/&lt;.*?&gt;/g, '')))
    faults.push('a table or an image of the report has its HTML');
  return faults;
}

/** Whether a file is a sequence of complete records: length, checksum, data, checksum. */
function areWholeEvents(file: Buffer): boolean {
  let at = 0;
  while (at + 12 <= file.length) at += 16 + Number(file.readBigUInt64LE(at));
  return at === file.length;
}

async function inImages(folder: string, name: string): Promise<string[]> {
  mkdirSync(folder, { recursive: true });
  const isFileName = !/[/\0]|^\.\.?$/.test(name) && Buffer.byteLength(name) <= 255 && !/\p{Surrogate}/u.test(name);
  const faults: string[] = [];
  const add = (fault: string | undefined) => void (fault !== undefined && faults.push(fault));
  if (isFileName) {
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, 'a.png'), 'not an image');
    writeFileSync(join(folder, name, `b.${name.slice(0, 200).replaceAll('.', '')}`), '');
    const listing = await listClasses(folder);
    if (listing.classes.length !== 1 || listing.classes[0]!.name !== name) faults.push('the class has another name');
    if (steersTerminal(describeListing(listing))) faults.push('the line about the images steers the terminal');
    add(faultOf(await observe(() => decodeImage(join(folder, name, 'a.png')))));
    add(faultOf(await observe(() => listClasses(join(folder, name, 'nothing')))));
  }
  const png = await encodePng({ width: 1, height: 1, data: new Uint8Array(3) });
  const settings = readPngSettings(withPngSettings(png, { class: name, [name]: name }));
  if (settings?.class !== name || !Object.hasOwn(settings, name)) faults.push('the settings of an image are others');
  return faults;
}

async function inWeights(path: string, name: string): Promise<string[]> {
  const tensors = { weight: { dtype: 'F32' as const, shape: [1], data: new Float32Array(1) } };
  await writeSafetensors(path, tensors, { metadata: describeWeights({ classNames: [name, 'b'] }) });
  const { classNames } = await readWeightsInfo(path);
  return classNames?.[0] === name ? [] : ['the class of the weights has another name'];
}
