// What was asked for and shown together: one request, and requests with one thing changed.
import type { GenerateRequest, ModelInfo } from '../../../src/page/messages.js';
import type { JobState } from '../job.js';
import { orders } from '../parts/sampling-fields.js';

/** One request and what became of it. */
export type Attempt = {
  id: number;
  request: GenerateRequest;
  /** What is different from the first of its row, in words. */
  change: string | null;
  job: JobState;
};

/** Attempts that are next to each other: all but one thing is the same. */
export type Row = { id: number; attempts: readonly Attempt[] };

/** What can be changed. */
export type Changeable = 'guidance' | 'temperature' | 'steps' | 'order' | 'seed' | 'class';

export const changeables = [
  ['guidance', 'Guidance'],
  ['temperature', 'Temperature'],
  ['steps', 'Steps'],
  ['order', 'Order'],
  ['class', 'Class'],
  ['seed', 'Seed'],
] as const satisfies readonly (readonly [Changeable, string])[];

/** The request with one thing changed. Of several classes and images, the class of all is changed. */
export function withChange(request: GenerateRequest, what: Changeable, value: string): GenerateRequest {
  if (what === 'class') return { ...request, classes: [Number(value)], count: request.count };
  if (what === 'order') return { ...request, order: value as GenerateRequest['order'] };
  return { ...request, [what]: what === 'steps' || what === 'seed' ? Math.round(Number(value)) : Number(value) };
}

/** Describes a change in words. */
export function describeChange(what: Changeable, value: string, model: ModelInfo): string {
  const name = changeables.find(([key]) => key === what)![1];
  const text =
    what === 'class'
      ? classNameOf(model, Number(value))
      : what === 'order'
        ? orders.find(([order]) => order === value)![1].toLowerCase()
        : value;
  return `${name} ${text}`;
}

/** Describes the settings of a request in one line. */
export function describeRequest(request: GenerateRequest, model: ModelInfo): string {
  const { classes, guidance, temperature, steps, order, seed } = request;
  const names = classes.map((label) => classNameOf(model, label)).join(', ');
  const orderName = orders.find(([key]) => key === order)![1].toLowerCase();
  return `${names} · guidance ${guidance} · temperature ${temperature} · ${steps} steps · ${orderName} · seed ${seed}`;
}

export const classNameOf = ({ classes }: ModelInfo, label: number | null) =>
  label === null ? 'no class' : (classes.find((info) => info.label === label)?.name ?? String(label));

/** Images that a request asks for. */
export const imagesOf = ({ classes, count }: GenerateRequest) => classes.length * count;
