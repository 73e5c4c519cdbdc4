// Classes by name, with a search field where there are many.
import { useId, useState } from 'preact/hooks';
import type { ClassInfo } from '../../../src/page/messages.js';

type Props = {
  classes: readonly ClassInfo[];
  chosen: readonly number[];
  onChange(chosen: number[]): void;
  most: number;
};

const shownAtOnce = 60;

/** Chooses one or several classes. */
export function ClassPicker({ classes, chosen, onChange, most }: Props) {
  const id = useId();
  const [search, setSearch] = useState('');
  const matches = classesNamed(classes, search);
  const isChosen = new Set(chosen);
  const shown = [
    ...classes.filter(({ label }) => isChosen.has(label)),
    ...matches.filter(({ label }) => !isChosen.has(label)),
  ];
  const listed = classes.length <= shownAtOnce && search === '' ? classes : shown.slice(0, shownAtOnce);
  const toggle = (label: number) => {
    if (isChosen.has(label)) onChange(chosen.filter((other) => other !== label));
    else onChange([...chosen, label].slice(-most));
  };
  return (
    <fieldset class="classes">
      <legend>What to show</legend>
      <label class="unseen" for={id}>
        Search for a class
      </label>
      <input
        id={id}
        type="search"
        placeholder={`Search ${classes.length} classes`}
        value={search}
        onInput={(event) => setSearch(event.currentTarget.value)}
      />
      <ul>
        {listed.map((info) => (
          <li key={info.label}>
            <ClassButton info={info} isChosen={isChosen.has(info.label)} onClick={() => toggle(info.label)} />
          </li>
        ))}
      </ul>
      <p class="hint" role="status">
        {matches.length === 0
          ? `No class is named “${search}”.`
          : shown.length > listed.length
            ? `${shown.length - listed.length} more: search for a name.`
            : ''}
      </p>
    </fieldset>
  );
}

function ClassButton({ info, isChosen, onClick }: { info: ClassInfo; isChosen: boolean; onClick(): void }) {
  return (
    <button type="button" class="class" aria-pressed={isChosen} onClick={onClick}>
      {info.thumbnail !== null && <img src={info.thumbnail} alt="" width={32} height={32} loading="lazy" />}
      <span>{info.name}</span>
    </button>
  );
}

/** The classes whose names or numbers hold a text, whatever its case and accents. */
function classesNamed(classes: readonly ClassInfo[], search: string): readonly ClassInfo[] {
  const plain = (text: string) =>
    text
      .normalize('NFKD')
      .replace(/\p{Mn}/gu, '')
      .toLowerCase()
      .trim();
  const wanted = plain(search);
  if (wanted === '') return classes;
  return classes.filter(({ name, label }) => plain(name).includes(wanted) || String(label) === wanted);
}
