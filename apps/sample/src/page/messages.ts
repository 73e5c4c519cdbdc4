// The messages between the page and what computes for it: the server of `tb-sample serve`, or a Worker of the static site.
// Only types and constants, without modules of Node. Requests are checked where they arrive, by check-requests.ts.
//
// The page of the server:
//
//   GET  api/model                     ModelInfo
//   POST api/generate                  GenerateRequest  → server-sent events, each a JobEvent
//   POST api/edit                      EditRequest      → server-sent events, each a JobEvent
//   POST api/images                    bytes of an image file → UploadedImage
//   POST api/reconstruct               ReconstructRequest → server-sent events, each a JobEvent
//   GET  api/runs                      RunList
//   GET  api/runs/<id>/events          server-sent events, each a RunEvent; they follow a run in progress
//   GET  api/runs/<id>/samples/<step>  PNG file
//
// A server-sent event is one line `data: <JSON>` without a name; the field `type` of the JSON is its kind. To cancel a job, close
// its response (`AbortController.abort()` of the fetch). Requests that are refused have a status from 400 and a `Refusal`. All
// addresses are relative to the page.
//
// S = positions of the latent map (grid height × grid width), C = latent channels, B = quantization levels per channel

/** An image in a message. */
export type MessageImage = {
  width: number;
  height: number;
  /** Bytes of a PNG file, base64; `data:image/png;base64,${png}` shows it. */
  png: string;
};

/** Values of the state of each position of one image, row by row. */
export type PositionMaps = {
  /** The step that filled each position, from 0; −1 where it is still masked, −2 where it was given and is kept; [S]. */
  stepOfPosition: number[];
  /** Probability of each position's tokens when it was filled, in (0, 1]; 0 where masked, 1 where it was given; [S]. */
  confidence: number[];
};

/** Settings of sampling that a person can choose. */
export type SamplingSettings = {
  /** Guidance scale, 1 for none. */
  guidance: number;
  guidanceSchedule: 'linear' | 'constant';
  /** Temperature of the tokens, 0 for the likeliest. */
  temperature: number;
  steps: number;
  order: 'random' | 'raster' | 'confidence';
  /** From 0 to 2⁵³ − 1. */
  seed: number;
};

/** Asks for images of classes. */
export type GenerateRequest = SamplingSettings & {
  /** Labels, each once. */
  classes: number[];
  /** Images of each class. */
  count: number;
  /** Steps between two previews; 0 for none. */
  previewEvery: number;
};

/** Asks to fill a part of an image again. */
export type EditRequest = SamplingSettings & {
  /** What is edited: an image that was uploaded, or the tokens of a generated image (`FinishedImage`). */
  source: { image: string } | { tokens: string };
  /**
   * How strongly each position is changed, in 0 … 1, row by row; [S]. 1 fills it again and 0 keeps it. Of positions in between
   * the strength is the probability with which the seed chooses them. At least one must be chosen.
   */
  mask: number[];
  /** The class of the new part; null for none. */
  label: number | null;
  /** Different versions. */
  count: number;
  previewEvery: number;
};

/** Asks for an image through the autoencoder and the quantizer. */
export type ReconstructRequest = {
  /** `id` of an `UploadedImage`. */
  image: string;
  /** B. */
  levels: number;
  /** r of the interval [−r, r]. */
  range: number;
};

/** An image that was dropped or pasted. It is kept in memory for a while, and never written. */
export type UploadedImage = {
  /** For requests. */
  id: string;
  /** Size of the file's image, before its middle was cut out. */
  width: number;
  height: number;
  /** The middle, at the size of the model's images. */
  square: MessageImage;
};

/** What happens to a job, in this order: queued, started, progress and results, and one of the last three. */
export type JobEvent =
  | { type: 'queued' /** Jobs whose turn comes before; 0 means next. Sent again when it changes. */; before: number }
  | { type: 'started' }
  | JobProgress
  | JobPreview
  | FinishedImage
  | Reconstruction
  | { type: 'done'; seconds: number /** The equal command line, if there is one. */; command: string | null }
  | { type: 'cancelled' }
  | { type: 'failed' /** A sentence for people. */; message: string };

/** How far a job is. */
export type JobProgress = {
  type: 'progress';
  /** Known positions and all positions, of all images of the job. */
  known: number;
  positions: number;
};

/** Images while they fill. Masked positions have latents of 0, so they are decoded without content. */
export type JobPreview = {
  type: 'preview';
  /** Steps that are done, and all steps. */
  step: number;
  steps: number;
  images: (PositionMaps & { /** Place of the image in the job, from 0. */ index: number; image: MessageImage })[];
};

/** An image that is finished. */
export type FinishedImage = PositionMaps & {
  type: 'image';
  /** Place of the image in the job, from 0. */
  index: number;
  label: number | null;
  /** Seed of this image, in decimal. */
  seed: string;
  /** The PNG file holds its settings, as files of `tb-sample generate` do. */
  image: MessageImage;
  /** Name for the file. */
  file: string;
  /** uint16, little end first, [S, C]; base64. For `EditRequest`. */
  tokens: string;
};

/** The answer to a `ReconstructRequest`. */
export type Reconstruction = {
  type: 'reconstruction';
  levels: number;
  range: number;
  original: MessageImage;
  autoencoder: Similarity & { image: MessageImage };
  quantized: Similarity & { image: MessageImage };
  /** Share of the latents outside the range, in 0 … 1. */
  outOfRange: number;
  channels: ChannelUse[];
};

/** Similarity to the original, as `tb-sample reconstruct` prints it. */
export type Similarity = {
  /** In dB; null where the images are equal. */
  psnr: number | null;
  /** In −1 … 1; null for images below 11 × 11 pixels. */
  ssim: number | null;
};

/** How one latent channel uses its codewords. */
export type ChannelUse = {
  /** Positions with each index; [B]. */
  counts: number[];
  /** Share of the channel's latents outside the range, in 0 … 1. */
  outOfRange: number;
};

/** One class of the model. */
export type ClassInfo = {
  label: number;
  name: string;
  /** Address of a small image of the class, if there is one. */
  thumbnail: string | null;
};

/** What the page computes with, and how much it may ask for. */
export type ModelInfo = {
  /** Version of the program. */
  version: string;
  /** A few words: the name of the file. */
  model: string;
  /** Backend and precision, such as `wasm`. */
  backend: string;
  classes: ClassInfo[];
  /** Size of the model's images in pixels. */
  image: { width: number; height: number };
  /** Size of the latent map: S = height · width positions of C channels. */
  grid: { height: number; width: number; channels: number };
  /** Levels per channel that the model was trained with, and its range. */
  quantizer: { levels: number; range: number };
  /** Recommended settings of sampling, to begin with. */
  presets: { name: string; settings: Omit<SamplingSettings, 'seed'> }[];
  limits: Limits;
  /** Whether a folder of runs can be looked at. */
  hasRuns: boolean;
};

/** Largest values that requests may ask for; the least are 1 where nothing is stated. */
export type Limits = {
  /** Images of one job. */
  images: number;
  steps: number;
  /** From −guidance to guidance. */
  guidance: number;
  /** From 0. */
  temperature: number;
  /** Bytes and pixels of an uploaded image. */
  uploadBytes: number;
  uploadPixels: number;
  /** From 2. */
  levels: number;
  range: { min: number; max: number };
};

/** The runs below the folder of runs. */
export type RunList = { runs: RunInfo[] };

/** One run of tb-train. */
export type RunInfo = {
  /** For requests; not a path. */
  id: string;
  /** Its folder below the folder of runs. */
  name: string;
  /** Step that it has reached, and all its steps where the log states them. */
  step: number;
  steps: number | null;
  /** Whether its last step is done. */
  isFinished: boolean;
  /** When it logged the last time, in milliseconds since 1970. */
  updated: number;
};

/** What a run logs, from its beginning and then as it continues. */
export type RunEvent =
  /** Forget what was sent: the log was rewritten, because the run resumed from an earlier step. */
  | { type: 'reset' }
  /** Records in the order of the log. A long log is thinned out. */
  | { type: 'records'; records: RunRecord[] }
  /** The run has made its last step. Further events follow if it is resumed. */
  | { type: 'finished' }
  | { type: 'failed'; message: string };

/** One line of a run's log. */
export type RunRecord =
  | { kind: 'begin'; step: number; steps: number | null }
  /** Values such as loss, smoothedLoss, learningRate, imagesPerSecond and seconds. */
  | { kind: 'step'; step: number; values: Record<string, number> }
  | { kind: 'validation'; step: number; values: Record<string, number> }
  /** A grid of sample images was drawn. */
  | { kind: 'sample'; step: number };

/** Why a request was refused: the body of a response with a status from 400. */
export type Refusal = { /** A sentence for people. */ message: string };

/** Everything that the page asks for. The page has one over HTTP, the static site one over a Worker. */
export type PageClient = {
  model(): Promise<ModelInfo>;
  upload(file: Blob): Promise<UploadedImage>;
  /** Yields the events of a job. Aborting the signal cancels the job. Throws an Error with the message of a `Refusal`. */
  generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<JobEvent>;
  edit(request: EditRequest, signal: AbortSignal): AsyncIterable<JobEvent>;
  reconstruct(request: ReconstructRequest, signal: AbortSignal): AsyncIterable<JobEvent>;
  runs(): Promise<RunList>;
  /** Yields what a run has logged and what it logs from then on, until the signal is aborted. */
  follow(run: string, signal: AbortSignal): AsyncIterable<RunEvent>;
  /** Address of the sample images of a step. */
  sampleUrl(run: string, step: number): string;
};
