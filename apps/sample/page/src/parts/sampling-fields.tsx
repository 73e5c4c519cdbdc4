// The settings of sampling, in words for people who do not know them.
import { useState } from 'preact/hooks';
import type { ModelInfo, SamplingSettings } from '../../../src/page/messages.js';
import { IntegerField, NumberField, SelectField } from './controls.js';

export const orders = [
  ['random', 'Random'],
  ['raster', 'Row by row'],
  ['confidence', 'Surest first'],
] as const satisfies readonly (readonly [SamplingSettings['order'], string])[];

/** The settings of a form, and whether its next request keeps the seed. */
type Sampling = { settings: SamplingSettings; isSeedKept: boolean };

/** Keeps the settings of a form, the recommended ones at first. */
export function useSampling({ presets }: ModelInfo) {
  const [sampling, setSampling] = useState<Sampling>(() => ({
    settings: { ...presets[0].settings, seed: newSeed() },
    isSeedKept: false,
  }));
  return {
    sampling,
    setSampling,
    /** The settings of the next request, with a new seed unless it is kept. */
    nextSettings() {
      const { isSeedKept, settings } = sampling;
      const next = isSeedKept ? settings : { ...settings, seed: newSeed() };
      setSampling({ settings: next, isSeedKept });
      return { ...next, previewEvery: previewSteps(next.steps) };
    },
  };
}

/** A seed that is short enough to write down. */
const newSeed = () => crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000;

type DetailsProps = { model: ModelInfo; sampling: Sampling; onChange(sampling: Sampling): void };

/** Fields for all settings, which open on demand. */
export function SamplingDetails({ model, sampling, onChange }: DetailsProps) {
  const { settings, isSeedKept } = sampling;
  return (
    <details>
      <summary>Settings</summary>
      <SamplingFields
        model={model}
        settings={settings}
        onChange={(next) => onChange({ ...sampling, settings: next })}
      />
      <SeedField
        seed={settings.seed}
        isKept={isSeedKept}
        onChange={(seed, isKept) => onChange({ settings: { ...settings, seed }, isSeedKept: isKept })}
      />
    </details>
  );
}

type Props = { model: ModelInfo; settings: SamplingSettings; onChange(settings: SamplingSettings): void };

/** Fields for all settings but the seed. */
function SamplingFields({ model, settings, onChange }: Props) {
  const { limits, grid } = model;
  const set = (change: Partial<SamplingSettings>) => onChange({ ...settings, ...change });
  const most = Math.min(limits.steps, grid.height * grid.width);
  return (
    <>
      <NumberField
        label="Guidance"
        hint="How closely the image follows its class. 1 leaves the model free."
        value={settings.guidance}
        min={1}
        max={Math.min(12, limits.guidance)}
        step={0.05}
        onChange={(guidance) => set({ guidance })}
      />
      <NumberField
        label="Temperature"
        hint="Low is cautious, high is daring."
        value={settings.temperature}
        min={0}
        max={Math.min(2, limits.temperature)}
        step={0.01}
        onChange={(temperature) => set({ temperature })}
      />
      <NumberField
        label="Steps"
        hint="In how many steps the image is filled. More take longer."
        value={settings.steps}
        min={1}
        max={most}
        step={1}
        onChange={(steps) => set({ steps: Math.round(steps) })}
      />
      <SelectField
        label="Order"
        hint="Which patches are filled first."
        value={settings.order}
        options={orders}
        onChange={(order) => set({ order })}
      />
    </>
  );
}

/** The seed, and whether each click takes a new one. */
function SeedField({
  seed,
  isKept,
  onChange,
}: {
  seed: number;
  isKept: boolean;
  onChange(seed: number, isKept: boolean): void;
}) {
  return (
    <div class="seed">
      <IntegerField
        label="Seed"
        hint="The same seed and settings give the same image."
        value={seed}
        min={0}
        max={Number.MAX_SAFE_INTEGER}
        onChange={(value) => onChange(value, true)}
      />
      <label class="check">
        <input type="checkbox" checked={isKept} onChange={(event) => onChange(seed, event.currentTarget.checked)} />
        Keep this seed
      </label>
    </div>
  );
}

/** Steps between two previews: about eight while an image fills, and at least one step apart. */
const previewSteps = (steps: number) => Math.max(1, Math.min(8, Math.floor(steps / 8)));
