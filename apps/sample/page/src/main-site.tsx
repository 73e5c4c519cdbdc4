import { show } from './show.js';
import { createSiteBanner } from './site/site-banner.js';
import { workerClient } from './site/worker-client.js';

const site = workerClient(new URL('./', document.baseURI));
show(site.client, createSiteBanner(site));

// Only secure addresses have service workers; elsewhere the site needs the network.
if ('serviceWorker' in navigator) void navigator.serviceWorker.register('./service-worker.js').catch(() => {});
