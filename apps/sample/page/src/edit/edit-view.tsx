import { useEffect, useState } from 'preact/hooks';
import type { ModelInfo, PageClient } from '../../../src/page/messages.js';
import type { JobState } from '../job.js';
import { Choice, download, IntegerField, NumberField, SelectField } from '../parts/controls.js';
import { ImageFile } from '../parts/image-file.js';
import { JobStateLine } from '../parts/job-state.js';
import { type Layer, LayerLegend, layers, ModelImage, pngUrl } from '../parts/model-image.js';
import { SamplingDetails, useSampling } from '../parts/sampling-fields.js';
import { useJob } from '../use-job.js';
import { type EditSource, sourceOfGenerated, sourceOfUploaded } from './edit-source.js';
import { type Brush, emptyMask, type Mask, paintedShare } from './mask.js';
import { MaskPainter } from './mask-painter.js';

type Props = {
  client: PageClient;
  model: ModelInfo;
  isActive: boolean;
  source: EditSource | null;
  onSource(source: EditSource): void;
};

/** Paints over a part of an image, and lets the model fill it again. */
export function EditView({ client, model, isActive, source, onSource }: Props) {
  return (
    <>
      <h1>Change a part of an image</h1>
      <p>Paint over what you want to replace. The model keeps the rest, and fills the painted part to fit.</p>
      <div class="columns">
        <section aria-label="Image to change">
          {source === null && (
            <p>
              Take one of your generated images by its <em>Edit</em> button, or another one:
            </p>
          )}
          {source !== null && (
            <Editor key={source.image.png} client={client} model={model} source={source} onSource={onSource} />
          )}
        </section>
        <section aria-label="Other image">
          <ImageFile
            client={client}
            model={model}
            isActive={isActive}
            onImage={(image) => onSource(sourceOfUploaded(image))}
          />
        </section>
      </div>
    </>
  );
}

type EditorProps = { client: PageClient; model: ModelInfo; source: EditSource; onSource(source: EditSource): void };

function Editor({ client, model, source, onSource }: EditorProps) {
  const [mask, setMask] = useState<Mask>(() => emptyMask(model.grid));
  const [brush, setBrush] = useState<Brush>({ radius: 1, strength: 1 });
  const { job, start, cancel } = useJob();
  const share = paintedShare(mask);
  return (
    <>
      <MaskPainter image={source.image} grid={model.grid} mask={mask} brush={brush} onChange={setMask} />
      <BrushFields grid={model.grid} brush={brush} onBrush={setBrush} mask={mask} onMask={setMask} />
      <EditForm
        model={model}
        source={source}
        share={share}
        onStart={(settings) =>
          start((signal) => client.edit({ ...settings, source: source.source, mask: [...mask] }, signal))
        }
      />
      {job && <Versions job={job} model={model} onCancel={cancel} onSource={onSource} />}
    </>
  );
}

type BrushProps = {
  grid: ModelInfo['grid'];
  brush: Brush;
  onBrush(brush: Brush): void;
  mask: Mask;
  onMask(mask: Mask): void;
};

function BrushFields({ grid, brush, onBrush, mask, onMask }: BrushProps) {
  return (
    <div class="brush">
      <Choice
        label="Brush"
        value={brush.strength > 0 ? 'paint' : 'erase'}
        options={[
          ['paint', 'Paint'],
          ['erase', 'Erase'],
        ]}
        onChange={(tool) => onBrush({ ...brush, strength: tool === 'paint' ? 1 : 0 })}
      />
      <button type="button" onClick={() => onMask(emptyMask(grid))}>
        Clear
      </button>
      <button type="button" onClick={() => onMask(mask.map(() => brush.strength || 1))}>
        Everything
      </button>
      <NumberField
        label="Brush size"
        value={brush.radius}
        min={0.5}
        max={grid.width / 2}
        step={0.5}
        onChange={(radius) => onBrush({ ...brush, radius })}
      />
      {brush.strength > 0 && (
        <NumberField
          label="Strength"
          hint="1 replaces all that you paint, 0.5 about half of its patches."
          value={brush.strength}
          min={0.05}
          max={1}
          step={0.05}
          onChange={(strength) => onBrush({ ...brush, strength })}
        />
      )}
    </div>
  );
}

type Asked = Omit<Parameters<PageClient['edit']>[0], 'source' | 'mask'>;

function EditForm({
  model,
  source,
  share,
  onStart,
}: {
  model: ModelInfo;
  source: EditSource;
  share: number;
  onStart(request: Asked): void;
}) {
  const { sampling, setSampling, nextSettings } = useSampling(model);
  const [label, setLabel] = useState(source.label);
  const [count, setCount] = useState(Math.min(3, model.limits.images));
  useEffect(() => setLabel(source.label), [source]);
  const submit = (event: Event) => {
    event.preventDefault();
    onStart({ ...nextSettings(), label, count });
  };
  const classes = model.classes.map((info) => [String(info.label), info.name] as const);
  return (
    <form onSubmit={submit}>
      <SelectField
        label="Fill it with"
        value={label === null ? '' : String(label)}
        options={[['', 'whatever fits'], ...classes]}
        onChange={(value) => setLabel(value === '' ? null : Number(value))}
      />
      <IntegerField label="Versions" value={count} min={1} max={model.limits.images} onChange={setCount} />
      <button type="submit" class="main" disabled={share === 0}>
        {share === 0 ? 'Paint on the image first' : `Fill ${Math.round(share * 100)}% of it again`}
      </button>
      <SamplingDetails model={model} sampling={sampling} onChange={setSampling} />
    </form>
  );
}

type VersionsProps = { job: JobState; model: ModelInfo; onCancel(): void; onSource(source: EditSource): void };

function Versions({ job, model, onCancel, onSource }: VersionsProps) {
  const [layer, setLayer] = useState<Layer>('image');
  const images = job.images.flatMap((image, index) => (image ? [{ image, index }] : []));
  return (
    <section class="versions" aria-label="New versions">
      <Choice label="What to draw over the images" value={layer} options={layers} onChange={(next) => setLayer(next)} />
      <LayerLegend layer={layer} />
      <ul class="images">
        {images.map(({ image, index }) => (
          <li key={index}>
            <figure>
              <ModelImage
                image={image}
                grid={model.grid}
                steps={job.steps}
                layer={layer}
                alt={`Version ${index + 1}`}
              />
              {image.finished && (
                <figcaption>
                  <button type="button" class="small" onClick={() => onSource(sourceOfGenerated(image.finished!))}>
                    Edit<span class="unseen"> version {index + 1}</span>
                  </button>
                  <button
                    type="button"
                    class="small"
                    onClick={() => download(pngUrl(image.image), image.finished!.file)}
                  >
                    Save<span class="unseen"> version {index + 1} as PNG</span>
                  </button>
                </figcaption>
              )}
            </figure>
          </li>
        ))}
      </ul>
      <JobStateLine job={job} verb="filled" onCancel={onCancel} />
    </section>
  );
}
