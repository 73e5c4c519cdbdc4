// Keeps the site for use without a network. Files whose names or addresses hold a hash never change; the others are asked for
// first, and taken from the cache where there is no network.
const cacheName = 'tokenbridge-site';

self.addEventListener('install', (event) => {
  const keep = async () => {
    const cache = await caches.open(cacheName);
    const { files } = await (await fetch('./site.json', { cache: 'no-cache' })).json();
    await cache.addAll(['./', './site.json', ...files]);
    await self.skipWaiting();
  };
  event.waitUntil(keep());
});

self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  // The weights have a cache of their own, which the page fills: it shows how far they are.
  const isOurs =
    request.method === 'GET' && url.href.startsWith(self.registration.scope) && !url.pathname.includes('/weights/');
  if (isOurs) event.respondWith(answer(request, url));
});

async function answer(request, url) {
  const cache = await caches.open(cacheName);
  const isHashed = url.pathname.includes('/assets/');
  const kept = await cache.match(request, { ignoreSearch: !isHashed });
  if (isHashed && kept) return kept;
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(request, response.clone());
    return response;
  } catch (error) {
    if (kept) return kept;
    throw error;
  }
}
