import { useState } from 'preact/hooks';
import type { MessageImage } from '../../../src/page/messages.js';
import { SelectField } from '../parts/controls.js';
import { pngUrl } from '../parts/model-image.js';

type Named = { key: string; name: string; image: MessageImage };

/** Two images over each other, with a divider to drag or to move by the arrow keys. */
export function Divider({ images }: { images: readonly Named[] }) {
  const [share, setShare] = useState(50);
  const [keys, setKeys] = useState({ left: images[0].key, right: images[images.length - 1].key });
  const find = (key: string) => images.find((named) => named.key === key)!;
  const [left, right] = [find(keys.left), find(keys.right)];
  const options = images.map(({ key, name }) => [key, name] as const);
  return (
    <div class="divider">
      <div class="stage">
        <img src={pngUrl(right.image)} alt={`Right: ${right.name}`} />
        <img src={pngUrl(left.image)} alt={`Left: ${left.name}`} style={{ clipPath: `inset(0 ${100 - share}% 0 0)` }} />
        <span class="line" style={{ left: `${share}%` }} aria-hidden="true" />
        <input
          type="range"
          min={0}
          max={100}
          step={1}
          value={share}
          aria-label={`Divider between ${left.name} and ${right.name}`}
          onInput={(event) => setShare(event.currentTarget.valueAsNumber)}
        />
      </div>
      <div class="sides">
        <SelectField
          label="Left"
          value={keys.left}
          options={options}
          onChange={(key) => setKeys({ ...keys, left: key })}
        />
        <SelectField
          label="Right"
          value={keys.right}
          options={options}
          onChange={(key) => setKeys({ ...keys, right: key })}
        />
      </div>
    </div>
  );
}
