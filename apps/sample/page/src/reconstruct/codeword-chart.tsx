import { useEffect, useRef } from 'preact/hooks';
import type { Reconstruction } from '../../../src/page/messages.js';
import { heat } from '../parts/position-map.js';

/** How often each channel uses each codeword: a row for each channel, a column for each level. */
export function CodewordChart({ reconstruction }: { reconstruction: Reconstruction }) {
  const { channels, levels } = reconstruction;
  const used = channels.map(({ counts }) => counts.filter((count) => count > 0).length);
  const anywhere = Array.from({ length: levels }, (_, level) => level).filter((level) =>
    channels.some(({ counts }) => counts[level] > 0),
  ).length;
  return (
    <figure class="codewords">
      <figcaption>
        <h2>Use of the values</h2>
        <p>
          {anywhere} of {levels} values are used. A row for each of the {channels.length} channels; brighter squares are
          used more often.
        </p>
      </figcaption>
      <Chart reconstruction={reconstruction} />
      <details>
        <summary>As a table</summary>
        <div class="wide">
          <table>
            <thead>
              <tr>
                <th scope="col">Channel</th>
                <th scope="col">Values used</th>
                <th scope="col">Cut off</th>
              </tr>
            </thead>
            <tbody>
              {channels.map(({ outOfRange }, channel) => (
                <tr key={channel}>
                  <th scope="row">{channel}</th>
                  <td>
                    {used[channel]} of {levels}
                  </td>
                  <td>{(100 * outOfRange).toFixed(2)}%</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}

function Chart({ reconstruction: { channels, levels } }: { reconstruction: Reconstruction }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current!.getContext('2d')!;
    const pixels = context.createImageData(levels, channels.length);
    for (const [row, { counts }] of channels.entries()) {
      const most = Math.max(1, ...counts);
      for (const [level, count] of counts.entries()) {
        // The root keeps values that are used once visible next to those that are used often.
        const [red, green, blue] = heat(Math.sqrt(count / most));
        pixels.data.set([red, green, blue, count === 0 ? 40 : 255], (row * levels + level) * 4);
      }
    }
    context.putImageData(pixels, 0, 0);
  }, [channels, levels]);
  return (
    <>
      <canvas
        ref={canvas}
        width={levels}
        height={channels.length}
        role="img"
        aria-label="Use of the values, channel by channel"
      />
      <p class="axis" aria-hidden="true">
        <span>smallest value</span>
        <span>largest value</span>
      </p>
    </>
  );
}
