import type { ComponentChildren, ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { ModelInfo, PageClient } from '../../src/page/messages.js';
import type { EditSource } from './edit/edit-source.js';
import { EditView } from './edit/edit-view.js';
import { GenerateView } from './generate/generate-view.js';
import { ReconstructView } from './reconstruct/reconstruct-view.js';

/** What only the static site shows. */
export type Site = { /** Shown above every view. */ Banner: ComponentType };

type View = 'generate' | 'edit' | 'reconstruct' | 'quantizer' | 'runs';

const titles: Record<View, string> = {
  generate: 'Generate',
  edit: 'Edit',
  reconstruct: 'Reconstruct',
  quantizer: 'Quantizer',
  runs: 'Runs',
};

/** The page: its views, of which one is visible. Views that were opened keep what they show. */
export function App({ client, site }: { client: PageClient; site?: Site }) {
  const { model, fault } = useModel(client);
  const [view, setView] = useView();
  const [source, setSource] = useState<EditSource | null>(null);
  const views = (Object.keys(titles) as View[]).filter((name) => name !== 'runs' || model?.hasRuns);
  const edit = (next: EditSource) => {
    setSource(next);
    setView('edit');
  };
  return (
    <>
      <Header views={views} view={view} model={model} />
      <main id="main" tabIndex={-1}>
        {fault !== null && <Fault message={fault} />}
        {site && <site.Banner />}
        {model === null && fault === null && <p class="hint">Loading…</p>}
        {model !== null && (
          <>
            <Panel isActive={view === 'generate'}>
              <GenerateView client={client} model={model} onEdit={edit} />
            </Panel>
            <Panel isActive={view === 'edit'}>
              <EditView client={client} model={model} isActive={view === 'edit'} source={source} onSource={setSource} />
            </Panel>
            <Panel isActive={view === 'reconstruct'}>
              <ReconstructView client={client} model={model} isActive={view === 'reconstruct'} />
            </Panel>
            <Panel isActive={view === 'quantizer'}>
              <Later load={async () => (await import('./quantizer/quantizer-view.js')).QuantizerView} model={model} />
            </Panel>
            {model.hasRuns && (
              <Panel isActive={view === 'runs'}>
                <Later load={async () => (await import('./runs/runs-view.js')).RunsView} client={client} />
              </Panel>
            )}
          </>
        )}
      </main>
    </>
  );
}

function Header({ views, view, model }: { views: readonly View[]; view: View; model: ModelInfo | null }) {
  return (
    <header class="top">
      <button type="button" class="skip" onClick={() => document.getElementById('main')!.focus()}>
        Skip to the content
      </button>
      <p class="brand">TokenBridge</p>
      <nav aria-label="Views">
        {views.map((name) => (
          <a key={name} href={`#${name}`} aria-current={name === view ? 'page' : undefined}>
            {titles[name]}
          </a>
        ))}
      </nav>
      {model && (
        <p class="hint model">
          {model.model} on {model.backend}
        </p>
      )}
    </header>
  );
}

/** A view that is drawn when it is opened for the first time, and kept from then on. */
function Panel({ isActive, children }: { isActive: boolean; children: ComponentChildren }) {
  const [wasOpened, setOpened] = useState(isActive);
  if (isActive && !wasOpened) setOpened(true);
  return wasOpened || isActive ? <div hidden={!isActive}>{children}</div> : null;
}

/** A view whose program is loaded when it is needed. */
function Later<Props extends object>({ load, ...props }: { load(): Promise<ComponentType<Props>> } & Props) {
  const [View, setView] = useState<{ component: ComponentType<Props> } | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  useEffect(() => {
    load().then(
      (component) => setView({ component }),
      () => setFault('This view could not be loaded. Reload the page to try again.'),
    );
  }, []);
  if (fault !== null) return <Fault message={fault} />;
  return View ? <View.component {...(props as unknown as Props)} /> : <p class="hint">Loading…</p>;
}

const Fault = ({ message }: { message: string }) => (
  <p class="fault" role="alert">
    {message}
  </p>
);

function useModel(client: PageClient): { model: ModelInfo | null; fault: string | null } {
  const [model, setModel] = useState<ModelInfo | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  useEffect(() => {
    client.model().then(setModel, (error: Error) => setFault(error.message));
  }, [client]);
  return { model, fault };
}

/** The view that the address names. */
function useView(): [View, (view: View) => void] {
  const named = () => {
    const name = location.hash.slice(1);
    return name in titles ? (name as View) : 'generate';
  };
  const [view, setView] = useState(named);
  useEffect(() => {
    const change = () => setView(named());
    addEventListener('hashchange', change);
    return () => removeEventListener('hashchange', change);
  }, []);
  useEffect(() => {
    document.title = `${titles[view]} · TokenBridge`;
  }, [view]);
  return [
    view,
    (next) => {
      location.hash = next;
    },
  ];
}
