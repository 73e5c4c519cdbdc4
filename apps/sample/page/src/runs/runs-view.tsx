import { useEffect, useMemo, useState } from 'preact/hooks';
import type { PageClient, RunInfo } from '../../../src/page/messages.js';
import { LineChart } from './line-chart.js';
import { chartsOf, type RunLog } from './run-log.js';
import { SampleFilm } from './sample-film.js';
import { useRunList, useRunLogs } from './use-runs.js';

/** Colours that stay distinct in the dark and in the light, and for people who see few colours (Okabe and Ito). */
const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'];

/** Training runs as charts over each other, which follow runs in progress. */
export function RunsView({ client }: { client: PageClient }) {
  const { runs, fault } = useRunList(client);
  const [chosen, setChosen] = useState<readonly string[] | null>(null);
  useEffect(() => {
    if (chosen === null && runs !== null && runs.length > 0) setChosen([newest(runs).id]);
  }, [runs]);
  const ids = chosen ?? none;
  const logs = useRunLogs(client, ids);
  const shown = ids.flatMap((id) => {
    const info = runs?.find((run) => run.id === id);
    const log = logs.get(id);
    return info && log ? [{ info, log, colour: colourOf(ids, id) }] : [];
  });
  return (
    <>
      <h1>Training runs</h1>
      {fault !== null && (
        <p class="fault" role="alert">
          {fault}
        </p>
      )}
      <div class="columns">
        <section aria-label="Runs">
          {runs === null && fault === null && <p class="hint">Looking for runs…</p>}
          {runs?.length === 0 && <p>There are no runs in this folder yet. They appear here once one begins.</p>}
          {runs !== null && runs.length > 0 && <RunList runs={runs} chosen={ids} onChange={setChosen} />}
        </section>
        <section class="results" aria-label="Charts">
          {shown.length === 0 && ids.length === 0 && runs !== null && <p class="hint">Choose a run.</p>}
          {shown.map(({ info, log }) => (
            <RunState key={info.id} name={info.name} log={log} />
          ))}
          <Charts shown={shown} />
          {shown
            .filter(({ log }) => log.samples.length > 0)
            .map(({ info, log }) => (
              <SampleFilm
                key={info.id}
                name={info.name}
                steps={log.samples}
                urlOf={(step) => client.sampleUrl(info.id, step)}
              />
            ))}
        </section>
      </div>
    </>
  );
}

const none: readonly string[] = [];

const colourOf = (ids: readonly string[], id: string) => colours[ids.indexOf(id) % colours.length];

const newest = (runs: readonly RunInfo[]) => runs.reduce((best, run) => (run.updated > best.updated ? run : best));

type ListProps = { runs: readonly RunInfo[]; chosen: readonly string[]; onChange(chosen: readonly string[]): void };

function RunList({ runs, chosen, onChange }: ListProps) {
  return (
    <fieldset class="runs">
      <legend>Runs to show</legend>
      {runs.map((run) => (
        <label key={run.id} class="check">
          <input
            type="checkbox"
            checked={chosen.includes(run.id)}
            onChange={(event) =>
              onChange(event.currentTarget.checked ? [...chosen, run.id] : chosen.filter((other) => other !== run.id))
            }
          />
          {chosen.includes(run.id) && (
            <span class="swatch" style={{ background: colourOf(chosen, run.id) }} aria-hidden="true" />
          )}
          <span class="name">{run.name}</span>
          <span class="hint">
            {run.isFinished ? 'finished, ' : ''}step {run.step}
            {run.steps !== null && ` of ${run.steps}`}
          </span>
        </label>
      ))}
    </fieldset>
  );
}

function RunState({ name, log }: { name: string; log: RunLog }) {
  const text = log.isFinished
    ? `${name} is finished, at step ${log.step}.`
    : `${name} is at step ${log.step}${log.steps === null ? '' : ` of ${log.steps}`}.`;
  return (
    <>
      <p role="status">{text}</p>
      {log.message !== null && (
        <p class="fault" role="alert">
          {name}: {log.message}
        </p>
      )}
    </>
  );
}

type Shown = { info: RunInfo; log: RunLog; colour: string };

function Charts({ shown }: { shown: readonly Shown[] }) {
  const [isLogarithmic, setLogarithmic] = useState(false);
  const charts = useMemo(() => chartsOf(shown.map(({ log }) => log)), [shown]);
  if (charts.length === 0) return null;
  return (
    <>
      <label class="check">
        <input
          type="checkbox"
          checked={isLogarithmic}
          onChange={(event) => setLogarithmic(event.currentTarget.checked)}
        />
        Logarithmic values
      </label>
      <div class="charts">
        {charts.map(({ title, names }) => (
          <LineChart
            key={title}
            title={title}
            isLogarithmic={isLogarithmic}
            curves={shown.flatMap(({ info, log, colour }) => {
              const series = names.map((name) => log.series.get(name)).find((found) => found !== undefined);
              return series ? [{ name: info.name, colour, series }] : [];
            })}
          />
        ))}
      </div>
    </>
  );
}
