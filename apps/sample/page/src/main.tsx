import { httpClient } from './http-client.js';
import { show } from './show.js';

show(httpClient(new URL('./', document.baseURI)));
