import { UsageError } from '@tb/command-line';
import type { Parallelism } from '@tb/trainer';
import type { RunValues } from '../options/tables.js';

/** How each batch is shared among devices and passes. */
export type BatchPlan = Parallelism & {
  /** Pictures per update. */
  batch: number;
  /** Devices that the backend has. */
  available: number;
};

/** A backend, and how many devices it has. */
export type Machine = { backend: string; available: number };

/** Pictures at once on engines that keep every operation's result: WebAssembly's 4 GB end at about as many. */
const defaultMicroBatch = 8;

/**
 * As few passes as `--micro-batch` allows, all of the same size. Without it, all at once on xla.
 *
 * @throws UsageError when there are too few devices, or the batch cannot be shared equally
 */
export function planBatch(
  { batch = 64, devices = 1, microBatch }: RunValues,
  { backend, available }: Machine,
): BatchPlan {
  if (devices > available) {
    const reason =
      backend === 'xla' ? `only ${count(available, 'device')} here` : 'one device; several GPUs need --backend xla';
    throw new UsageError(`--devices ${devices}: backend ${backend} has ${reason}`);
  }
  const share = batch / devices;
  if (!Number.isInteger(share)) {
    throw new UsageError(`--batch ${batch} must be a multiple of --devices ${devices}, which share it equally`);
  }
  const most = microBatch ?? (backend === 'xla' ? share : defaultMicroBatch);
  let microBatches = Math.ceil(share / most);
  while (share % microBatches !== 0) microBatches++;
  // Only there a pass of few pictures takes nearly as long as one of many.
  if (backend === 'xla' && 2 * (share / microBatches) < Math.min(most, share)) {
    const step = devices * most;
    throw new UsageError(
      `--batch ${batch} cannot be worked on in equal micro-batches of nearly ${most} pictures${devices > 1 ? ` on ${devices} devices` : ''}: ` +
        `choose --batch ${Math.max(1, Math.round(batch / step)) * step}, or another --micro-batch than ${most}`,
    );
  }
  return { batch, devices, microBatches, available };
}

/** The plan in words, and what it leaves idle. */
export function describePlan({ batch, devices, microBatches, available }: BatchPlan): string[] {
  const share = batch / devices;
  const parts = [`batch: ${count(batch, 'picture')} an update`];
  if (devices > 1) parts.push(`${share} on each of ${devices} devices`);
  if (microBatches > 1) parts.push(`in ${microBatches} micro-batches of ${share / microBatches}`);
  const idle = `${devices} of ${available} devices at work: --devices ${available} shares each batch among all of them`;
  return [parts.join(', '), ...(devices < available ? [idle] : [])];
}

/** An error of memory that is exhausted, with what to do about it; other errors as they are. */
export function adviseOnMemory(error: unknown, { batch, devices, microBatches }: BatchPlan): unknown {
  if (!(error instanceof Error) || (error as { code?: unknown }).code !== 'RESOURCE_EXHAUSTED') return error;
  const size = batch / devices / microBatches;
  const advice = `a --micro-batch below ${size} needs less memory, and so does --rematerialize of tb-train model`;
  return new Error(`${error.message}\nThe device's memory is exhausted: ${advice}`, { cause: error });
}

const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`;
