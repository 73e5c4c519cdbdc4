import {
  type ArraySpec,
  byteSize,
  type DeviceBuffer,
  type Executable,
  type Executor,
  elementCount,
  type HostArray,
  hostArray,
} from '../src/executor.js';

type FakeBuffer = DeviceBuffer & { data?: HostArray; state: 'live' | 'freed' | 'donated' };

export type FakeExecutor = Executor & {
  /** Texts of all programs compiled, in order. */
  readonly modules: string[];
  /** Buffers that nobody freed. */
  liveBuffers(): number;
  /** How many programs ran. */
  executions(): number;
  /** The device of every upload since the last question. */
  takeUploads(): number[];
  /** How many arrays were copied to the host. */
  downloads(): number;
  /** Programs that `startCompiling` was asked for and that are not ready: the test ends each, or it is waited for. */
  readonly pending: { text: string; finish(error?: Error): void }[];
};

/**
 * Keeps the books of an executor and computes nothing: results are zeros. Using a dead buffer throws, and so does a
 * program whose arguments lie on another device.
 */
export function createFakeExecutor(): FakeExecutor {
  const modules: string[] = [];
  const live = new Set<FakeBuffer>();
  let executions = 0;
  let downloads = 0;
  let uploads: number[] = [];
  const make = (spec: ArraySpec, device: number, data?: HostArray): FakeBuffer => {
    const buffer: FakeBuffer = { spec, device, data, state: 'live' };
    live.add(buffer);
    return buffer;
  };
  const end = (buffer: FakeBuffer, state: 'freed' | 'donated') => {
    buffer.state = state;
    live.delete(buffer);
  };
  const usable = (buffer: DeviceBuffer) => {
    const own = buffer as FakeBuffer;
    if (own.state !== 'live') throw new Error(`fake executor: the buffer was ${own.state}`);
    return own;
  };
  const download = (buffer: DeviceBuffer) => {
    downloads += 1;
    const { spec, data } = usable(buffer);
    return data ?? hostArray(spec, new ArrayBuffer(elementCount(spec) * 8));
  };
  const pending: FakeExecutor['pending'] = [];
  const makeExecutable = (inputs: ArraySpec[], outputs: ArraySpec[], replicas = 1): Executable => ({
    replicas,
    inputs,
    outputs,
    cached: false,
    compileSeconds: 0,
    memory: () => undefined,
    dispose() {},
  });
  return {
    platform: 'fake',
    deviceKind: 'fake device',
    deviceCount: 2,
    modules,
    liveBuffers: () => live.size,
    executions: () => executions,
    downloads: () => downloads,
    takeUploads() {
      const taken = uploads;
      uploads = [];
      return taken;
    },
    compile(module, { inputs, outputs, replicas = 1 }): Executable {
      modules.push(module);
      return makeExecutable(inputs, outputs, replicas);
    },
    pending,
    startCompiling(text, { inputs, outputs, replicas, onBegin }) {
      modules.push(text);
      onBegin?.(false);
      const executable = makeExecutable(inputs, outputs, replicas);
      let failure: Error | undefined;
      let finish = (_error?: Error) => {};
      const ready = new Promise<Executable>((resolve, reject) => {
        finish = (error) => {
          failure = error;
          const place = pending.findIndex((entry) => entry.finish === finish);
          if (place >= 0) pending.splice(place, 1);
          if (error) reject(error);
          else resolve(executable);
        };
      });
      pending.push({ text, finish });
      return {
        ready,
        wait() {
          if (failure) throw failure;
          finish();
          return executable;
        },
        cancel() {
          if (!pending.some((entry) => entry.finish === finish)) return false;
          finish(new DOMException('cancelled', 'AbortError'));
          return true;
        },
      };
    },
    upload(data, spec, device = 0) {
      uploads.push(device);
      return make(spec, device, data);
    },
    execute(executable, inputs, donated = []) {
      executions += 1;
      if (inputs.length !== executable.replicas) throw new Error('fake executor: one list of inputs for each replica');
      for (const [replica, buffers] of inputs.entries()) {
        for (const buffer of buffers) {
          if (usable(buffer).device !== replica) throw new Error('fake executor: an argument lies on another device');
        }
      }
      for (const buffers of inputs) for (const index of donated) end(usable(buffers[index]), 'donated');
      return inputs.map((_, device) => executable.outputs.map((spec) => make(spec, device)));
    },
    download: async (buffer) => download(buffer),
    downloadSync: download,
    free: (buffer) => {
      if ((buffer as FakeBuffer).state === 'live') end(buffer as FakeBuffer, 'freed');
    },
    memory: () => ({
      bytesInUse: [...live].reduce((sum, { spec }) => sum + byteSize(spec), 0),
      peakBytesInUse: 0,
      bytesLimit: 0,
    }),
    dispose() {},
  };
}
