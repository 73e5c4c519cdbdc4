// The addresses of the server. Who may ask is decided before a request reaches them, in access.ts.
import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';
import { RefusedError } from '../../page/check-requests.js';
import type { JobEvent } from '../../page/messages.js';
import { type AccessOptions, assertOrigin, cookieName, isToken, safetyHeaders } from './access.js';
import { readBytes, readJsonBody } from './body.js';
import { eventStream } from './event-stream.js';
import type { PageFile } from './page-contents.js';
import type { Service } from './service.js';

export type AppOptions = {
  access: AccessOptions;
  /** Where the server listens. */
  port: number;
  service: Service;
  page: ReadonlyMap<string, PageFile>;
  onError(error: unknown): void;
};

type Env = { Bindings: HttpBindings };
type Ask = Context<Env>;

/** Makes the function from requests to answers. */
export function createApp({ access, port, service, page, onError }: AppOptions): Hono<Env> {
  const app = new Hono<Env>();
  app.use(async (ask, next) => {
    await next();
    for (const [name, value] of Object.entries(safetyHeaders)) ask.res.headers.set(name, value);
    if (!ask.res.headers.has('cache-control')) ask.res.headers.set('cache-control', 'no-store');
  });
  app.use(async (ask, next) => {
    assertOrigin(ask.req.raw, access);
    if (access.token === undefined) return next();
    const fromAddress = ask.req.path === '/' ? ask.req.query('token') : undefined;
    if (isToken(fromAddress, access.token)) {
      // Keeps the token out of the address, which people copy and browsers remember.
      setCookie(ask, cookieName(port), access.token, { httpOnly: true, sameSite: 'Lax', path: '/' });
      return ask.redirect('/', 303);
    }
    if (isToken(getCookie(ask, cookieName(port)), access.token)) return next();
    throw new RefusedError('open the address with the token that tb-sample serve has printed', 401);
  });
  app.onError((error, ask) => {
    if (!(error instanceof RefusedError)) onError(error);
    const refusal = error instanceof RefusedError ? error : new RefusedError('something went wrong', 500);
    return ask.json(refusal.refusal, refusal.status);
  });
  app.notFound((ask) => ask.json({ message: 'there is nothing at this address' }, 404));
  addJobs(app, service);
  addRuns(app, service);
  app.get('*', (ask) => pageFile(ask, page));
  return app;
}

function addJobs(app: Hono<Env>, service: Service): void {
  const jobOf = (start: Service['generate']) => async (ask: Ask) => {
    const run = start(await readJsonBody(ask.req.raw), clientOf(ask));
    return eventStream<JobEvent>(run, ({ type }) => type === 'progress' || type === 'preview');
  };
  app.get('/api/model', (ask) => ask.json(service.info));
  app.post('/api/generate', jobOf(service.generate));
  app.post('/api/edit', jobOf(service.edit));
  app.post('/api/reconstruct', jobOf(service.reconstruct));
  app.post('/api/images', async (ask) => {
    const file = await readBytes(ask.req.raw, 'application/octet-stream', service.info.limits.uploadBytes);
    return ask.json(await service.upload(file));
  });
  app.get('/api/classes/:file{\\d{1,9}\\.png}', (ask) => {
    const thumbnail = service.thumbnails.get(Number.parseInt(ask.req.param('file'), 10));
    if (!thumbnail) throw new RefusedError('there is no image of this class', 404);
    return pngAnswer(thumbnail);
  });
}

function addRuns(app: Hono<Env>, service: Service): void {
  const runsOf = () => {
    if (!service.runs) throw new RefusedError('there is no folder of runs; see --runs', 404);
    return service.runs;
  };
  app.get('/api/runs', async (ask) => ask.json({ runs: await runsOf().list() }));
  app.get('/api/runs/:id{[0-9a-f]{32}}/events', async (ask) => {
    await runsOf().assertRun(ask.req.param('id'));
    return eventStream(service.follow(ask.req.param('id')));
  });
  app.get('/api/runs/:id{[0-9a-f]{32}}/samples/:step{\\d{1,8}}', async (ask) =>
    pngAnswer(await runsOf().sample(ask.req.param('id'), Number(ask.req.param('step')))),
  );
}

/** Clients take turns: requests of one machine count as one. */
const clientOf = (ask: Ask) => ask.env.incoming.socket.remoteAddress ?? '';

const pngAnswer = (content: Uint8Array<ArrayBuffer>) =>
  new Response(content, { headers: { 'content-type': 'image/png' } });

/** Names of files that contain their hash never change what they hold. */
const hashedName = /^\/assets\/.+-[\w-]{8,}\.\w+$/;

function pageFile(ask: Ask, page: ReadonlyMap<string, PageFile>): Response {
  const file = page.get(ask.req.path);
  if (!file) throw new RefusedError('there is nothing at this address', 404);
  const caching = hashedName.test(ask.req.path) ? 'private, max-age=31536000, immutable' : 'private, no-cache';
  const headers = { 'content-type': file.type, 'cache-control': caching, etag: file.etag };
  if (ask.req.header('if-none-match') === file.etag) return new Response(null, { status: 304, headers });
  return new Response(file.content, { headers });
}
