// Computes for the static site: the same checks, queue and jobs as the server's.
import { centreCrop } from '@tb/images';
import type { Pixels } from '@tb/vae';
import { checkEdit, checkGenerate, checkReconstruct, RefusedError } from '../../../src/page/check-requests.js';
import type { JobContext, PageCompute } from '../../../src/page/compute.js';
import { encodeBase64 } from '../../../src/page/maps.js';
import { createQueue } from '../../../src/page/queue.js';
import { StoppedError, startJob } from '../../../src/page/run-job.js';
import { openCompute } from './open-compute.js';
import { decodeFile, encodePng } from './pixels.js';
import type { FromWorker, JobRequest, SiteFile, ToWorker } from './site-messages.js';

const mostJobs = 16;
const mostUploads = 8;
const secondsPerJob = 3600;

const queue = createQueue(mostJobs);
const uploads = new Map<string, Pixels>();
const running = new Map<number, AbortController>();
let page = '';
let site: SiteFile;
let compute: Promise<PageCompute> | undefined;

const post = (message: FromWorker) => postMessage(message);

addEventListener('message', ({ data }: MessageEvent<ToWorker>) => {
  if (data.type === 'open') ({ page, site } = data);
  else if (data.type === 'cancel') running.get(data.id)?.abort();
  else answer(data).catch((error) => post({ type: 'refused', id: data.id, message: messageOf(error) }));
});

async function answer(message: Extract<ToWorker, { type: 'upload' | 'start' }>): Promise<void> {
  const { id } = message;
  if (message.type === 'upload') return post({ type: 'uploaded', id, image: await upload(message.file) });
  const controller = new AbortController();
  running.set(id, controller);
  const command = null;
  const emit: JobContext['emit'] = (event) => post({ type: 'event', id, event });
  try {
    const run = prepare(message.job);
    const job = { client: 'page', signal: controller.signal, emit, command, compute: forPeople(run) };
    await startJob(queue, job, { seconds: secondsPerJob, onError: console.error });
    post({ type: 'ended', id });
  } finally {
    running.delete(id);
  }
}

/** Checks a request. @returns what computes it, once the weights are there */
function prepare({ kind, request }: JobRequest): (context: JobContext) => Promise<void> {
  const { info } = site;
  if (kind === 'generate') {
    const checked = checkGenerate(request, info);
    return async (context) => (await opened()).generate(checked, context);
  }
  if (kind === 'edit') {
    const checked = checkEdit(request, info);
    const square = 'image' in checked.source ? uploadOf(checked.source.image) : undefined;
    return async (context) => (await opened()).edit(checked, square, context);
  }
  const checked = checkReconstruct(request, info);
  const square = uploadOf(checked.image);
  return async (context) => (await opened()).reconstruct(checked, square, context);
}

/** Errors of a page without a terminal are for people. */
const forPeople = (run: (context: JobContext) => Promise<void>) => async (context: JobContext) => {
  try {
    await run(context);
  } catch (error) {
    if (context.signal.aborted || error instanceof RefusedError) throw error;
    throw new StoppedError(messageOf(error), { cause: error });
  }
};

/** Loads the weights once; after an error they are loaded again. */
function opened(): Promise<PageCompute> {
  if (compute) return compute;
  const attempt = openCompute(page, site, (loading) => compute === attempt && post({ type: 'loading', loading }));
  compute = attempt;
  attempt.catch(() => {
    compute = undefined;
    post({ type: 'loading', loading: null });
  });
  return attempt;
}

async function upload(file: Blob) {
  const image = await decodeFile(file, site.info.limits);
  const square = centreCrop(image, site.info.image.width);
  const id = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join(
    '',
  );
  uploads.set(id, square);
  for (const oldest of [...uploads.keys()].slice(0, -mostUploads)) uploads.delete(oldest);
  const png = encodeBase64(await encodePng(square));
  const { width, height } = square;
  return { id, width: image.width, height: image.height, square: { width, height, png } };
}

function uploadOf(id: string): Pixels {
  const square = uploads.get(id);
  if (!square) throw new RefusedError('this image is not there any more; choose it again', 404);
  return square;
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
