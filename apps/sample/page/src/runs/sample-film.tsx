import { useEffect, useId, useState } from 'preact/hooks';

type Props = { name: string; steps: readonly number[]; urlOf(step: number): string };

/** The sample images of a run, one step after another. */
export function SampleFilm({ name, steps, urlOf }: Props) {
  const id = useId();
  const last = steps.length - 1;
  const [chosen, setChosen] = useState<number | null>(null); // null follows the newest
  const [isPlaying, setPlaying] = useState(false);
  const place = Math.min(chosen ?? last, last);
  useEffect(() => {
    if (!isPlaying) return;
    const timer = setInterval(
      () => setChosen((current) => ((current ?? last) >= last ? 0 : (current ?? last) + 1)),
      600,
    );
    return () => clearInterval(timer);
  }, [isPlaying, last]);
  return (
    <figure class="film">
      <figcaption>
        <h2>Samples of {name}</h2>
      </figcaption>
      <img src={urlOf(steps[place])} alt={`Sample images at step ${steps[place]}`} loading="lazy" />
      <div class="controls">
        <button type="button" onClick={() => setPlaying(!isPlaying)} disabled={steps.length < 2}>
          {isPlaying ? 'Stop' : 'Play'}
        </button>
        <label for={id}>Step {steps[place]}</label>
        <input
          id={id}
          type="range"
          min={0}
          max={last}
          step={1}
          value={place}
          onInput={(event) => {
            const next = event.currentTarget.valueAsNumber;
            setPlaying(false);
            setChosen(next === last ? null : next);
          }}
        />
      </div>
    </figure>
  );
}
