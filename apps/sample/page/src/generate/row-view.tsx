import { useState } from 'preact/hooks';
import type { FinishedImage, GenerateRequest, ModelInfo } from '../../../src/page/messages.js';
import { type EditSource, sourceOfGenerated } from '../edit/edit-source.js';
import { Choice, download } from '../parts/controls.js';
import { CopyLine } from '../parts/copy-line.js';
import { JobStateLine } from '../parts/job-state.js';
import { type Layer, LayerLegend, layers, ModelImage, pngUrl } from '../parts/model-image.js';
import { type Attempt, classNameOf, describeRequest, imagesOf, type Row } from './attempt.js';
import { ChangeForm } from './change-form.js';

type Props = {
  row: Row;
  model: ModelInfo;
  onEdit(source: EditSource): void;
  onCancel(attempt: Attempt): void;
  onRemove(): void;
  onChange(request: GenerateRequest, change: string): void;
};

/** One request, with requests of one changed thing next to it. */
export function RowView({ row, model, onEdit, onCancel, onRemove, onChange }: Props) {
  const [layer, setLayer] = useState<Layer>('image');
  const [first] = row.attempts;
  return (
    <article class="row">
      <header>
        <p class="settings">{describeRequest(first.request, model)}</p>
        <Choice
          label="What to draw over the images"
          value={layer}
          options={layers}
          onChange={(next) => setLayer(next)}
        />
        <button type="button" class="plain" onClick={onRemove} aria-label="Remove these images">
          ✕
        </button>
      </header>
      <LayerLegend layer={layer} />
      <div class="attempts">
        {row.attempts.map((attempt) => (
          <AttemptView
            key={attempt.id}
            attempt={attempt}
            isCompared={row.attempts.length > 1}
            model={model}
            layer={layer}
            onEdit={onEdit}
            onCancel={() => onCancel(attempt)}
          />
        ))}
      </div>
      {first.job.status === 'done' && <ChangeForm request={first.request} model={model} onChange={onChange} />}
    </article>
  );
}

type AttemptProps = {
  attempt: Attempt;
  isCompared: boolean;
  model: ModelInfo;
  layer: Layer;
  onEdit(source: EditSource): void;
  onCancel(): void;
};

function AttemptView({ attempt, isCompared, model, layer, onEdit, onCancel }: AttemptProps) {
  const { request, change, job } = attempt;
  const places = Array.from({ length: imagesOf(request) }, (_, index) => index);
  return (
    <div class="attempt">
      {isCompared && <h2>{change ?? 'As asked for'}</h2>}
      <ul class="images">
        {places.map((index) => {
          const label = job.images[index]?.finished?.label ?? request.classes[index % request.classes.length];
          const name = classNameOf(model, label);
          return (
            <li key={index}>
              <figure>
                <ModelImage
                  image={job.images[index]}
                  grid={model.grid}
                  steps={request.steps}
                  layer={layer}
                  alt={`${name}, image ${index + 1}`}
                />
                <figcaption>
                  <span>{name}</span>
                  <ImageButtons finished={job.images[index]?.finished ?? null} name={name} onEdit={onEdit} />
                </figcaption>
              </figure>
            </li>
          );
        })}
      </ul>
      <footer>
        <JobStateLine job={job} verb="filled" onCancel={onCancel} />
        {job.command !== null && <CopyLine text={job.command} label="Copy command" />}
      </footer>
    </div>
  );
}

type ButtonProps = { finished: FinishedImage | null; name: string; onEdit(source: EditSource): void };

function ImageButtons({ finished, name, onEdit }: ButtonProps) {
  if (!finished) return null;
  return (
    <span class="actions">
      <button type="button" class="small" onClick={() => onEdit(sourceOfGenerated(finished))}>
        Edit<span class="unseen"> {name}</span>
      </button>
      <button type="button" class="small" onClick={() => download(pngUrl(finished.image), finished.file)}>
        Save<span class="unseen"> {name} as PNG</span>
      </button>
    </span>
  );
}
