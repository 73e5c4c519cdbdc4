// The HTTP server. It takes its port before the model is loaded, and answers once it is.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer, type HttpBindings } from '@hono/node-server';
import { UsageError } from '@tb/command-line';
import { fileSystemReason } from '@tb/io';
import { type AccessOptions, safetyHeaders } from './access.js';
import { createApp } from './app.js';
import type { PageFile } from './page-contents.js';
import type { Service } from './service.js';

export type ServerOptions = {
  host: string;
  port: number;
  access: AccessOptions;
  page: ReadonlyMap<string, PageFile>;
  onError(error: unknown): void;
};

/** A server that listens. */
export type PageServer = {
  /** The address of the page. */
  address: string;
  /** Answers requests from now on. */
  start(service: Service): void;
  /** Ends all connections. */
  close(): Promise<void>;
};

/** Connections at a time; a page needs a few. */
const mostConnections = 256;

/** Milliseconds in which a request must have arrived, its headers first. */
const times = { headersTimeout: 10_000, requestTimeout: 60_000 };

/** Opens the server. @throws UsageError when the port or the address cannot be used */
export async function openServer({ host, port, access, page, onError }: ServerOptions): Promise<PageServer> {
  let answer = (_: Request, _env: HttpBindings): Response | Promise<Response> =>
    new Response('the model is being loaded', { status: 503, headers: { ...safetyHeaders, 'retry-after': '2' } });
  const server = createAdaptorServer({
    fetch: (request, env) => answer(request, env as HttpBindings),
    createServer,
    serverOptions: times,
  }) as Server;
  server.maxConnections = mostConnections;
  await listen(server, host, port);
  const { port: used } = server.address() as AddressInfo;
  return {
    address: `http://${host.includes(':') ? `[${host}]` : host}:${used}/`,
    start(service) {
      const app = createApp({ access, port: used, service, page, onError });
      answer = (request, env) => app.fetch(request, env);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const inUse = `--port ${port} is in use by another program; choose another one, or 0 for any that is free`;
      const reason = `--host ${host} cannot be listened on: ${fileSystemReason(error)}`;
      reject(new UsageError(error.code === 'EADDRINUSE' ? inUse : reason));
    });
    server.listen({ host, port }, resolve);
  });
}
