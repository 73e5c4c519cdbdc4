// Takes an image from a file, a drop or the clipboard.
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { megabytes } from '../../../src/page/megabytes.js';
import type { ModelInfo, PageClient, UploadedImage } from '../../../src/page/messages.js';

type Props = {
  client: PageClient;
  model: ModelInfo;
  /** Whether the view is visible: only then does it take what is pasted. */
  isActive: boolean;
  onImage(image: UploadedImage): void;
};

/** A place to drop an image, with the images of the classes to try. */
export function ImageFile({ client, model, isActive, onImage }: Props) {
  const id = useId();
  const [fault, setFault] = useState<string | null>(null);
  const [isOver, setOver] = useState(false);
  const take = async (file: Blob | undefined) => {
    if (!file) return;
    setFault(null);
    try {
      assertSmall(file, model);
      onImage(await client.upload(file));
    } catch (error) {
      setFault((error as Error).message);
    }
  };
  usePastedImage(isActive, take);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keyboards have the field of the file for what a drop does
    <div
      class={isOver ? 'drop over' : 'drop'}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        void take(event.dataTransfer?.files[0]);
      }}
    >
      <label for={id}>Choose an image, or drop or paste one here</label>
      <input
        id={id}
        type="file"
        accept="image/*"
        onChange={(event) => {
          void take(event.currentTarget.files?.[0]);
          event.currentTarget.value = '';
        }}
      />
      <p class="hint">It is kept in memory for a while, and never saved.</p>
      <Examples model={model} take={take} />
      {fault !== null && (
        <p class="fault" role="alert">
          {fault}
        </p>
      )}
    </div>
  );
}

function Examples({ model, take }: { model: ModelInfo; take(file: Blob): Promise<void> }) {
  const withImage = model.classes.filter(({ thumbnail }) => thumbnail !== null).slice(0, 10);
  if (withImage.length === 0) return null;
  return (
    <div class="examples">
      <p>Or try one of these:</p>
      <ul>
        {withImage.map(({ label, name, thumbnail }) => (
          <li key={label}>
            <button
              type="button"
              class="plain"
              title={name}
              onClick={async () => take(await (await fetch(thumbnail!)).blob())}
            >
              <img src={thumbnail!} alt={name} width={48} height={48} />
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

function assertSmall({ size }: Blob, { limits }: ModelInfo): void {
  if (size > limits.uploadBytes)
    throw new Error(`The file has ${megabytes(size)}; at most ${megabytes(limits.uploadBytes)} are taken.`);
}

function usePastedImage(isActive: boolean, take: (file: Blob | undefined) => void): void {
  const newest = useRef(take);
  newest.current = take;
  useEffect(() => {
    if (!isActive) return;
    const paste = (event: ClipboardEvent) => {
      const file = [...(event.clipboardData?.files ?? [])].find(({ type }) => type.startsWith('image/'));
      if (file) newest.current(file);
    };
    addEventListener('paste', paste);
    return () => removeEventListener('paste', paste);
  }, [isActive]);
}
