import { useEffect, useState } from 'preact/hooks';
import { megabytes } from '../../../src/page/megabytes.js';
import type { Site } from '../app.js';
import { Progress } from '../parts/controls.js';
import type { Loading, SiteFile } from './site-messages.js';
import type { SiteClient } from './worker-client.js';

/** What the static site states about itself: that it computes here, and how large it is. */
export function createSiteBanner({ site, onLoading }: SiteClient): Site {
  return {
    Banner() {
      const [file, setFile] = useState<SiteFile | null>(null);
      const [loading, setLoading] = useState<Loading | null>(null);
      useEffect(() => void site().then(setFile, () => {}), []);
      useEffect(() => onLoading(setLoading), []);
      if (file === null) return null;
      const weights = file.model.bytes + file.vae.bytes;
      return (
        <aside class="banner" aria-label="About this page">
          {loading !== null && !loading.isReady ? (
            <Progress
              share={loading.loaded / loading.total}
              label={
                loading.loaded < loading.total
                  ? `Fetching the model, once: ${megabytes(loading.loaded)} of ${megabytes(loading.total)}`
                  : 'Preparing the model'
              }
            />
          ) : (
            <p class="hint">
              {loading === null
                ? `Everything is computed in your browser; nothing is sent. The model (${megabytes(weights)}) is fetched when you ask for the first image, and kept. The page itself has ${megabytes(file.bytes)}.`
                : 'The model is ready, also without a network. Everything is computed in your browser; nothing is sent.'}
            </p>
          )}
        </aside>
      );
    },
  };
}
