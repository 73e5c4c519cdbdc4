import { useId, useState } from 'preact/hooks';
import type { GenerateRequest, ModelInfo } from '../../../src/page/messages.js';
import { orders } from '../parts/sampling-fields.js';
import { type Changeable, changeables, describeChange, withChange } from './attempt.js';

type Props = {
  request: GenerateRequest;
  model: ModelInfo;
  onChange(request: GenerateRequest, change: string): void;
};

/** Asks for the same again with one thing changed, next to the images that are there. */
export function ChangeForm({ request, model, onChange }: Props) {
  const id = useId();
  const [what, setWhat] = useState<Changeable>('guidance');
  const [value, setValue] = useState(() => suggestion('guidance', request, model));
  const choose = (next: Changeable) => {
    setWhat(next);
    setValue(suggestion(next, request, model));
  };
  const submit = (event: Event) => {
    event.preventDefault();
    const changed = withChange(request, what, value);
    onChange(changed, describeChange(what, value, model));
  };
  const isSingle = request.classes.length === 1;
  return (
    <form class="change" onSubmit={submit}>
      <label for={`${id}-what`}>The same, but with</label>
      <select id={`${id}-what`} value={what} onChange={(event) => choose(event.currentTarget.value as Changeable)}>
        {changeables
          .filter(([key]) => key !== 'class' || isSingle)
          .map(([key, name]) => (
            <option key={key} value={key}>
              {name.toLowerCase()}
            </option>
          ))}
      </select>
      <Value what={what} value={value} model={model} onChange={setValue} />
      <button type="submit">Generate next to it</button>
    </form>
  );
}

type ValueProps = { what: Changeable; value: string; model: ModelInfo; onChange(value: string): void };

function Value({ what, value, model, onChange }: ValueProps) {
  const label = changeables.find(([key]) => key === what)![1];
  const options =
    what === 'order' ? orders : what === 'class' ? model.classes.map(({ label, name }) => [String(label), name]) : null;
  if (options)
    return (
      <select aria-label={label} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {options.map(([key, name]) => (
          <option key={key} value={key}>
            {name}
          </option>
        ))}
      </select>
    );
  const { min, max, step } = bounds(model)[what as keyof ReturnType<typeof bounds>];
  return (
    <input
      type="number"
      aria-label={label}
      min={min}
      max={max}
      step={step}
      required
      value={value}
      onInput={(event) => onChange(event.currentTarget.value)}
    />
  );
}

const bounds = ({ limits }: ModelInfo) => ({
  guidance: { min: 0, max: limits.guidance, step: 'any' },
  temperature: { min: 0, max: limits.temperature, step: 'any' },
  steps: { min: 1, max: limits.steps, step: 1 },
  seed: { min: 0, max: Number.MAX_SAFE_INTEGER, step: 1 },
});

/** A value that differs enough to be seen. */
function suggestion(what: Changeable, request: GenerateRequest, { classes, limits }: ModelInfo): string {
  switch (what) {
    case 'guidance':
      return request.guidance === 1 ? '3' : '1';
    case 'temperature':
      return request.temperature > 0.8 ? '0.7' : '1';
    case 'steps':
      return String(Math.min(limits.steps, request.steps > 8 ? Math.ceil(request.steps / 4) : request.steps * 4));
    case 'order':
      return orders.find(([order]) => order !== request.order)![0];
    case 'class':
      return String((classes.find(({ label }) => label !== request.classes[0]) ?? classes[0]).label);
    case 'seed':
      return String(request.seed + 1);
  }
}
