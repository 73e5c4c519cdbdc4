import { useRef, useState } from 'preact/hooks';
import type { MessageImage } from '../../../src/page/messages.js';
import { pngUrl } from '../parts/model-image.js';
import { type Grid, PositionMap } from '../parts/position-map.js';
import { type Brush, type Mask, type Point, paint } from './mask.js';

type Props = { image: MessageImage; grid: Grid; mask: Mask; brush: Brush; onChange(mask: Mask): void };

/** An image to paint on, by pointer or by arrow keys and the space bar. */
export function MaskPainter({ image, grid, mask, brush, onChange }: Props) {
  const last = useRef<Point | null>(null);
  const newest = useRef(mask);
  newest.current = mask;
  const [cursor, setCursor] = useState<{ column: number; row: number } | null>(null);
  const stroke = (event: PointerEvent & { currentTarget: HTMLElement }) => {
    const point = pointOf(event, grid);
    const changed = paint(newest.current, grid, last.current ?? point, point, brush);
    last.current = point;
    if (changed !== newest.current) {
      newest.current = changed;
      onChange(changed);
    }
  };
  const press = (event: KeyboardEvent) => {
    const { column, row } = cursor ?? { column: 0, row: 0 };
    const move = moves[event.key];
    if (move) setCursor(within(grid, column + move[0], row + move[1]));
    else if (event.key === ' ' || event.key === 'Enter') {
      const place = row * grid.width + column;
      onChange(mask.map((strength, index) => (index !== place ? strength : strength > 0 ? 0 : brush.strength || 1)));
    } else return;
    event.preventDefault();
  };
  const state = cursor && (mask[cursor.row * grid.width + cursor.column] > 0 ? 'painted' : 'not painted');
  return (
    <div
      class="canvas painter"
      role="application"
      aria-label="Image to paint on. Arrow keys move, the space bar paints and clears."
      // biome-ignore lint/a11y/noNoninteractiveTabindex: an application takes keys itself
      tabIndex={0}
      onKeyDown={press}
      onFocus={(event) => event.currentTarget.matches(':focus-visible') && setCursor({ column: 0, row: 0 })}
      onBlur={() => setCursor(null)}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        last.current = null;
        stroke(event);
      }}
      onPointerMove={(event) => event.buttons === 1 && stroke(event)}
    >
      <img src={pngUrl(image)} alt="" width={image.width} height={image.height} draggable={false} />
      <PositionMap
        grid={grid}
        colourOf={(position) =>
          cursor && position === cursor.row * grid.width + cursor.column
            ? [255, 255, 255, 0.75]
            : [236, 72, 20, mask[position] * 0.65]
        }
      />
      <p class="unseen" role="status">
        {cursor && `Row ${cursor.row + 1}, column ${cursor.column + 1}, ${state}`}
      </p>
    </div>
  );
}

const moves: Record<string, readonly [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

const within = ({ width, height }: Grid, column: number, row: number) => ({
  column: Math.min(width - 1, Math.max(0, column)),
  row: Math.min(height - 1, Math.max(0, row)),
});

function pointOf(
  { clientX, clientY, currentTarget }: PointerEvent & { currentTarget: HTMLElement },
  grid: Grid,
): Point {
  const { left, top, width, height } = currentTarget.getBoundingClientRect();
  return { x: ((clientX - left) / width) * grid.width, y: ((clientY - top) / height) * grid.height };
}
