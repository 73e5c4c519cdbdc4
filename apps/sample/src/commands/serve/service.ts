// What the server knows and does, without HTTP: the model, one queue, images that were sent, and runs.

import { encodePng } from '@tb/images';
import { checkEdit, checkGenerate, checkReconstruct, RefusedError } from '../../page/check-requests.js';
import type { JobContext, PageCompute } from '../../page/compute.js';
import { encodeBase64 } from '../../page/maps.js';
import type {
  GenerateRequest,
  JobEvent,
  ModelInfo,
  ReconstructRequest,
  RunEvent,
  UploadedImage,
} from '../../page/messages.js';
import { createQueue } from '../../page/queue.js';
import { StoppedError, startJob } from '../../page/run-job.js';
import type { EventSink } from './event-stream.js';
import type { Runs } from './runs.js';
import { shellWord } from './shell-word.js';
import type { Uploads } from './uploads.js';

export type ServiceOptions = {
  compute: PageCompute;
  info: ModelInfo;
  uploads: Uploads;
  runs?: Runs;
  /** PNG files by label. */
  thumbnails: ReadonlyMap<number, Uint8Array<ArrayBuffer>>;
  /** Jobs in the queue. */
  queueLength: number;
  /** Seconds that a job may compute. */
  timeLimit: number;
  /** Flags with which `tb-sample generate` and `reconstruct` compute the same as this server. */
  flags: { generate: readonly string[]; reconstruct: readonly string[] };
  onError(error: unknown): void;
};

/** One kind of job, from an unchecked request on. It throws before its first event where the request is refused. */
type StartJob = (request: unknown, client: string) => (sink: EventSink<JobEvent>) => Promise<void>;

export type Service = Pick<ServiceOptions, 'info' | 'runs' | 'thumbnails'> & {
  generate: StartJob;
  edit: StartJob;
  reconstruct: StartJob;
  upload(file: Uint8Array): Promise<UploadedImage>;
  follow(run: string): (sink: EventSink<RunEvent>) => Promise<void>;
  /** Stops all jobs and waits for their ends. */
  close(): Promise<void>;
};

/** Streams of runs that may be open. */
const mostFollowers = 64;

/** Puts the parts of the server together. */
export function createService(options: ServiceOptions): Service {
  const { compute, info, uploads, runs, thumbnails } = options;
  const queue = createQueue(options.queueLength);
  const limits = { seconds: options.timeLimit, onError: options.onError };
  const stopping = new AbortController();
  const running = new Set<Promise<void>>();
  const start = (client: string, command: string | null, run: (context: JobContext) => Promise<void>) => {
    if (queue.length >= options.queueLength) throw new RefusedError('too many jobs are waiting; try again later', 429);
    return async ({ emit, signal }: EventSink<JobEvent>) => {
      const either = AbortSignal.any([signal, stopping.signal]);
      const job = startJob(queue, { client, signal: either, emit, command, compute: run }, limits);
      running.add(job);
      await job.finally(() => running.delete(job));
    };
  };
  return {
    info,
    runs,
    thumbnails,
    generate(value, client) {
      const request = checkGenerate(value, info);
      return start(client, generateCommand(request, options.flags.generate), (context) =>
        compute.generate(request, context),
      );
    },
    edit(value, client) {
      const request = checkEdit(value, info);
      const square = 'image' in request.source ? uploads.get(request.source.image) : undefined;
      return start(client, null, (context) => compute.edit(request, square, context));
    },
    reconstruct(value, client) {
      const request = checkReconstruct(value, info);
      const square = uploads.get(request.image);
      const command = reconstructCommand(request, options.flags.reconstruct);
      return start(client, command, (context) => compute.reconstruct(request, square, context));
    },
    async upload(file) {
      const { id, width, height, square } = await uploads.add(file);
      const png = encodeBase64(await encodePng(square));
      return { id, width, height, square: { width: square.width, height: square.height, png } };
    },
    follow: createFollowing(runs, stopping.signal),
    async close() {
      stopping.abort(new StoppedError('tb-sample serve was stopped'));
      await Promise.all([...running, uploads.close()]);
    },
  };
}

/** Follows runs, so many at a time. */
function createFollowing(runs: Runs | undefined, stopping: AbortSignal): Service['follow'] {
  let followers = 0;
  return (run) => {
    if (!runs) throw new RefusedError('there is no folder of runs; see --runs', 404);
    if (followers >= mostFollowers) throw new RefusedError('too many runs are being followed', 429);
    return ({ emit, signal }) => {
      followers++;
      return runs.follow(run, { emit, signal: AbortSignal.any([signal, stopping]) }).finally(() => followers--);
    };
  };
}

/** The command line that makes the same images. */
function generateCommand(request: GenerateRequest, flags: readonly string[]): string {
  const { classes, count, guidance, guidanceSchedule, temperature, steps, order, seed } = request;
  const settings = { cfg: guidance, 'cfg-schedule': guidanceSchedule, temperature, 'num-iter': steps, order, seed };
  const words = Object.entries({ classes: classes.join(','), count, ...settings }).flatMap(([name, value]) => [
    `--${name}`,
    String(value),
  ]);
  return ['tb-sample', 'generate', ...flags, ...words, '--out', 'samples'].map(shellWord).join(' ');
}

/** The command line that prints the same figures of an image, whose file the page knows. */
function reconstructCommand({ levels, range }: ReconstructRequest, flags: readonly string[]): string {
  const words = ['--levels', String(levels), '--ranges', String(range)];
  return ['tb-sample', 'reconstruct', 'image.png', ...flags, ...words].map(shellWord).join(' ');
}
