import type { SiteWeights } from './site-messages.js';

const cacheName = 'tokenbridge-weights';

/**
 * Fetches a weights file once: from then on it comes from the browser's cache, where the page has one.
 *
 * @param report - called with the bytes that are there
 * @throws Error with a sentence for people
 */
export async function fetchWeights(
  page: string,
  { address, bytes }: SiteWeights,
  report: (loaded: number) => void,
): Promise<Uint8Array> {
  const url = new URL(address, page).href;
  const cache = 'caches' in globalThis ? await caches.open(cacheName).catch(() => undefined) : undefined;
  const kept = await cache?.match(url);
  if (kept) {
    const content = new Uint8Array(await kept.arrayBuffer());
    if (content.length === bytes) {
      report(bytes);
      return content;
    }
  }
  const content = await download(url, bytes, report);
  await cache?.put(url, new Response(content)).catch(() => {}); // without room for it, it is fetched again the next time
  return content;
}

async function download(
  url: string,
  bytes: number,
  report: (loaded: number) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url).catch(() => undefined);
  if (!response?.ok || !response.body) throw new Error('The model could not be fetched. Is there a network?');
  const content = new Uint8Array(bytes);
  let loaded = 0;
  for (let reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    if (loaded + value.length > bytes) throw new Error('The file of the model is longer than the site states.');
    content.set(value, loaded);
    loaded += value.length;
    report(loaded);
  }
  if (loaded < bytes) throw new Error('The model was cut short while it was fetched. Try again.');
  return content;
}
