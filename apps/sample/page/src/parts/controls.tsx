// Controls with a label and a hint that screen readers read with them.
import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';

type Labelled = { label: string; hint?: ComponentChildren };

/** A number with a slider and a field for exact values. */
export function NumberField({
  label,
  hint,
  value,
  min,
  max,
  step,
  onChange,
}: Labelled & { value: number; min: number; max: number; step: number; onChange(value: number): void }) {
  const id = useId();
  const change = (event: Event) => {
    const next = (event.currentTarget as HTMLInputElement).valueAsNumber;
    if (Number.isFinite(next)) onChange(Math.min(max, Math.max(min, next)));
  };
  const common = { min, max, step, value, 'aria-describedby': hint ? `${id}-hint` : undefined };
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class="number">
        <input type="range" aria-label={`${label}, slider`} {...common} onInput={change} />
        <input id={id} type="number" inputMode="decimal" {...common} step="any" onChange={change} />
      </div>
      <Hint id={id}>{hint}</Hint>
    </div>
  );
}

/** A whole number without a slider. */
export function IntegerField({
  label,
  hint,
  value,
  min,
  max,
  onChange,
}: Labelled & { value: number; min: number; max: number; onChange(value: number): void }) {
  const id = useId();
  const change = (event: Event) => {
    const next = (event.currentTarget as HTMLInputElement).valueAsNumber;
    if (Number.isFinite(next)) onChange(Math.round(Math.min(max, Math.max(min, next))));
  };
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        type="number"
        inputMode="numeric"
        min={min}
        max={max}
        step={1}
        value={value}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={change}
      />
      <Hint id={id}>{hint}</Hint>
    </div>
  );
}

/** A choice from a list that opens. */
export function SelectField<T extends string>({
  label,
  hint,
  value,
  options,
  onChange,
}: Labelled & { value: T; options: readonly (readonly [T, string])[]; onChange(value: T): void }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select
        id={id}
        value={value}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={(event) => onChange(event.currentTarget.value as T)}
      >
        {options.map(([option, text]) => (
          <option key={option} value={option}>
            {text}
          </option>
        ))}
      </select>
      <Hint id={id}>{hint}</Hint>
    </div>
  );
}

/** A choice from a few that are all visible. */
export function Choice<T extends string>({
  label,
  value,
  options,
  onChange,
}: {
  label: string;
  value: T;
  options: readonly (readonly [T, string])[];
  onChange(value: T): void;
}) {
  const name = useId();
  return (
    <fieldset class="choice">
      <legend class="unseen">{label}</legend>
      {options.map(([option, text]) => (
        <label key={option}>
          <input type="radio" name={name} checked={option === value} onChange={() => onChange(option)} />
          <span>{text}</span>
        </label>
      ))}
    </fieldset>
  );
}

function Hint({ id, children }: { id: string; children: ComponentChildren }) {
  return children ? (
    <p class="hint" id={`${id}-hint`}>
      {children}
    </p>
  ) : null;
}

/** How far something is. @param share - in 0 … 1 */
export function Progress({ share, label }: { share: number; label: string }) {
  return (
    <div class="progress">
      <progress max={1} value={share} aria-label={label} />
      <span>{label}</span>
    </div>
  );
}

/** Saves an address's content as a file. */
export function download(href: string, name: string): void {
  const link = document.createElement('a');
  link.href = href;
  link.download = name;
  link.click();
}
