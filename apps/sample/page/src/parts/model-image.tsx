// An image of the model, while it fills and afterwards, with a map over it.
import type { MessageImage } from '../../../src/page/messages.js';
import type { JobImage } from '../job.js';
import { type Colour, type Grid, heat, PositionMap } from './position-map.js';

/** What is drawn over images. */
export type Layer = 'image' | 'confidence' | 'order';

export const layers: readonly (readonly [Layer, string])[] = [
  ['image', 'Image'],
  ['confidence', 'Confidence'],
  ['order', 'Order'],
];

export const pngUrl = ({ png }: MessageImage) => `data:image/png;base64,${png}`;

type Props = { image: JobImage | undefined; grid: Grid; steps: number; layer: Layer; alt: string };

/** An image, or an empty canvas until the first preview. */
export function ModelImage({ image, grid, steps, layer, alt }: Props) {
  if (!image) return <div class="canvas empty" role="img" aria-label={`${alt}, not begun`} />;
  const { maps, finished } = image;
  const hasMap = layer !== 'image' || !finished;
  return (
    <div class="canvas">
      <img src={pngUrl(image.image)} alt={alt} width={image.image.width} height={image.image.height} />
      {hasMap && <PositionMap grid={grid} colourOf={colours[layer](maps, steps)} />}
    </div>
  );
}

const masked: Colour = [128, 128, 128, 0.72];
const kept: Colour = [0, 0, 0, 0];

type Maps = JobImage['maps'];

const colours: Record<Layer, (maps: Maps, steps: number) => (position: number) => Colour> = {
  image:
    ({ stepOfPosition }) =>
    (position) =>
      stepOfPosition[position] === -1 ? masked : kept,
  confidence:
    ({ stepOfPosition, confidence }) =>
    (position) =>
      stepOfPosition[position] === -1
        ? masked
        : stepOfPosition[position] === -2
          ? kept
          : heat(confidence[position], 0.9),
  order:
    ({ stepOfPosition }, steps) =>
    (position) => {
      const step = stepOfPosition[position];
      return step === -1 ? masked : step === -2 ? kept : heat(step / Math.max(1, steps - 1), 0.9);
    },
};

/** What the colours of a layer mean. */
export function LayerLegend({ layer }: { layer: Layer }) {
  if (layer === 'image') return null;
  const [low, high] = layer === 'confidence' ? ['unsure', 'sure'] : ['filled first', 'filled last'];
  return (
    <p class="legend">
      <span>{low}</span>
      <span class="scale" aria-hidden="true" />
      <span>{high}</span>
    </p>
  );
}
