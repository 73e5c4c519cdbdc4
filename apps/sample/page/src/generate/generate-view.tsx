import { useState } from 'preact/hooks';
import type { ModelInfo, PageClient } from '../../../src/page/messages.js';
import type { EditSource } from '../edit/edit-source.js';
import { ClassPicker } from '../parts/class-picker.js';
import { IntegerField } from '../parts/controls.js';
import { SamplingDetails, useSampling } from '../parts/sampling-fields.js';
import { RowView } from './row-view.js';
import { useRows } from './use-rows.js';

type Props = { client: PageClient; model: ModelInfo; onEdit(source: EditSource): void };

/** Chooses classes and settings, and shows the images while they fill. */
export function GenerateView({ client, model, onEdit }: Props) {
  const { rows, start, startNextTo, cancel, remove } = useRows(client);
  return (
    <div class="columns">
      <section aria-labelledby="generate-title">
        <h1 id="generate-title">Make an image</h1>
        <p>
          Choose what to show. The model begins with an empty canvas and fills it patch by patch, each time looking at
          what is there already.
        </p>
        <GenerateForm model={model} onStart={start} />
      </section>
      <section class="results" aria-label="Images">
        {rows.length === 0 && <FirstHint model={model} />}
        {rows.map((row) => (
          <RowView
            key={row.id}
            row={row}
            model={model}
            onEdit={onEdit}
            onCancel={cancel}
            onRemove={() => remove(row)}
            onChange={(request, change) => startNextTo(row, request, change)}
          />
        ))}
      </section>
    </div>
  );
}

/** What is seen before anything was generated. */
function FirstHint({ model }: { model: ModelInfo }) {
  const cells = Array.from({ length: 16 }, (_, index) => <span key={index} />);
  return (
    <div class="first">
      <div class="first-canvas" aria-hidden="true">
        {cells}
      </div>
      <p>
        Your images appear here while they fill. Each has {model.image.width} × {model.image.height} pixels, made of{' '}
        {model.grid.height * model.grid.width} patches.
      </p>
    </div>
  );
}

function GenerateForm({ model, onStart }: { model: ModelInfo; onStart: ReturnType<typeof useRows>['start'] }) {
  const [classes, setClasses] = useState<number[]>([model.classes[0].label]);
  const [count, setCount] = useState(Math.min(4, model.limits.images));
  const { sampling, setSampling, nextSettings } = useSampling(model);
  const mostEach = Math.max(1, Math.floor(model.limits.images / Math.max(1, classes.length)));
  const submit = (event: Event) => {
    event.preventDefault();
    onStart({ ...nextSettings(), classes, count: Math.min(count, mostEach) });
  };
  return (
    <form onSubmit={submit}>
      <ClassPicker classes={model.classes} chosen={classes} onChange={setClasses} most={model.limits.images} />
      <IntegerField
        label="Images of each"
        value={Math.min(count, mostEach)}
        min={1}
        max={mostEach}
        onChange={setCount}
      />
      <button type="submit" class="main" disabled={classes.length === 0}>
        {classes.length === 0 ? 'Choose a class first' : 'Generate'}
      </button>
      <SamplingDetails model={model} sampling={sampling} onChange={setSampling} />
    </form>
  );
}
