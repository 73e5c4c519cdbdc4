// The messages between the static site and its Worker, and the file that describes the site.
import type { VaeConfig } from '@tb/vae';
import type {
  EditRequest,
  GenerateRequest,
  JobEvent,
  ModelInfo,
  ReconstructRequest,
  UploadedImage,
} from '../../../src/page/messages.js';

/** A weights file of the site. */
export type SiteWeights = { /** Relative to the page. */ address: string; bytes: number };

/** `site.json`: what `tb-sample page` knows about the site that it wrote. */
export type SiteFile = {
  info: ModelInfo;
  model: SiteWeights;
  vae: SiteWeights & { config: VaeConfig };
  /** For the settings of images: names and SHA-256 of the weights. */
  weights: Record<string, unknown>;
  /** Everything but the weights, relative to the page, for use without a network. */
  files: string[];
  /** Bytes of these files. */
  bytes: number;
};

/** What a job asks for. */
export type JobRequest =
  | { kind: 'generate'; request: GenerateRequest }
  | { kind: 'edit'; request: EditRequest }
  | { kind: 'reconstruct'; request: ReconstructRequest };

/** To the Worker; `id` is the call's. */
export type ToWorker =
  | { type: 'open'; page: string; site: SiteFile }
  | { type: 'upload'; id: number; file: Blob }
  | { type: 'start'; id: number; job: JobRequest }
  | { type: 'cancel'; id: number };

/** How far the weights are loaded, in bytes. */
export type Loading = { loaded: number; total: number; isReady: boolean };

/** From the Worker. */
export type FromWorker =
  | { type: 'loading' /** null after a fault. */; loading: Loading | null }
  | { type: 'uploaded'; id: number; image: UploadedImage }
  | { type: 'event'; id: number; event: JobEvent }
  | { type: 'ended'; id: number }
  | { type: 'refused'; id: number; message: string };
