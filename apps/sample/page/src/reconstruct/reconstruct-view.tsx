import { useEffect, useState } from 'preact/hooks';
import type { ModelInfo, PageClient, Reconstruction, Similarity, UploadedImage } from '../../../src/page/messages.js';
import { isActive as isRunning } from '../job.js';
import { NumberField } from '../parts/controls.js';
import { ImageFile } from '../parts/image-file.js';
import { pngUrl } from '../parts/model-image.js';
import { useJob } from '../use-job.js';
import { CodewordChart } from './codeword-chart.js';
import { Divider } from './divider.js';

type Props = { client: PageClient; model: ModelInfo; isActive: boolean };

/** Sends an image through the autoencoder and the quantizer, and compares what comes back. */
export function ReconstructView({ client, model, isActive }: Props) {
  const [image, setImage] = useState<UploadedImage | null>(null);
  const [levels, setLevels] = useState(model.quantizer.levels);
  const [range, setRange] = useState(model.quantizer.range);
  const { reconstruction, isBusy, message } = useReconstruction(client, image, levels, range);
  return (
    <>
      <h1>Compress an image and get it back</h1>
      <p>
        The model does not paint pixels. It paints a small map of numbers, each rounded to one of a few allowed values,
        from which an image is computed. Here you see what that does to an image of yours.
      </p>
      <div class="columns">
        <section aria-label="Image and settings">
          <ImageFile client={client} model={model} isActive={isActive} onImage={setImage} />
          <NumberField
            label="Levels"
            hint="How many values each number may have. Fewer compress more."
            value={levels}
            min={2}
            max={model.limits.levels}
            step={1}
            onChange={(value) => setLevels(Math.round(value))}
          />
          <NumberField
            label="Range"
            hint="The largest value. What is larger is cut off; a wide range makes coarse steps."
            value={range}
            min={Math.max(0.5, model.limits.range.min)}
            max={Math.min(8, model.limits.range.max)}
            step={0.1}
            onChange={setRange}
          />
        </section>
        <section class="results" aria-label="Comparison" aria-busy={isBusy}>
          {message !== null && (
            <p class="fault" role="alert">
              {message}
            </p>
          )}
          {image === null && <p class="hint">Choose an image, and it appears here.</p>}
          {reconstruction !== null && <Compared reconstruction={reconstruction} isBusy={isBusy} />}
          {image !== null && reconstruction === null && message === null && <p class="hint">Computing…</p>}
        </section>
      </div>
    </>
  );
}

function Compared({ reconstruction, isBusy }: { reconstruction: Reconstruction; isBusy: boolean }) {
  const { original, autoencoder, quantized, outOfRange, levels, range } = reconstruction;
  const images = [
    { key: 'original', name: 'Original', image: original },
    { key: 'autoencoder', name: 'Autoencoder alone', image: autoencoder.image },
    { key: 'quantized', name: `Rounded to ${levels} levels`, image: quantized.image },
  ] as const;
  return (
    <div class={isBusy ? 'compared busy' : 'compared'}>
      <Divider images={images} />
      <ul class="images">
        {images.map(({ key, name, image }) => (
          <li key={key}>
            <figure>
              <div class="canvas">
                <img src={pngUrl(image)} alt="" width={image.width} height={image.height} />
              </div>
              <figcaption>{name}</figcaption>
            </figure>
          </li>
        ))}
      </ul>
      <table>
        <caption>Likeness to the original</caption>
        <thead>
          <tr>
            <td />
            <th scope="col">
              <abbr title="Peak signal-to-noise ratio: higher is closer">PSNR</abbr>
            </th>
            <th scope="col">
              <abbr title="Structural similarity: 1 is equal">SSIM</abbr>
            </th>
            <th scope="col">Cut off</th>
          </tr>
        </thead>
        <tbody>
          <Figures name="Autoencoder alone" similarity={autoencoder} outOfRange={null} />
          <Figures name={`${levels} levels, ±${range}`} similarity={quantized} outOfRange={outOfRange} />
        </tbody>
      </table>
      <CodewordChart reconstruction={reconstruction} />
    </div>
  );
}

type FiguresProps = { name: string; similarity: Similarity; outOfRange: number | null };

function Figures({ name, similarity: { psnr, ssim }, outOfRange }: FiguresProps) {
  return (
    <tr>
      <th scope="row">{name}</th>
      <td>{psnr === null ? 'equal' : `${psnr.toFixed(2)} dB`}</td>
      <td>{ssim === null ? '–' : ssim.toFixed(4)}</td>
      <td>{outOfRange === null ? '–' : `${(100 * outOfRange).toFixed(2)}%`}</td>
    </tr>
  );
}

/** The newest reconstruction; a change asks for another one as soon as the sliders rest for a moment. */
function useReconstruction(client: PageClient, image: UploadedImage | null, levels: number, range: number) {
  const { job, start } = useJob();
  const [shown, setShown] = useState<{ image: string; reconstruction: Reconstruction } | null>(null);
  useEffect(() => {
    if (image === null) return;
    const timer = setTimeout(() => {
      start((signal) => client.reconstruct({ image: image.id, levels, range }, signal));
    }, 120);
    return () => clearTimeout(timer);
  }, [client, image, levels, range]);
  useEffect(() => {
    if (image !== null && job?.reconstruction) setShown({ image: image.id, reconstruction: job.reconstruction });
  }, [job]);
  const isCurrent = shown !== null && shown.image === image?.id;
  return {
    reconstruction: isCurrent ? shown.reconstruction : null,
    isBusy: job !== null && isRunning(job),
    message: job?.status === 'failed' ? job.message : null,
  };
}
