// A package registry on this machine that holds the project's packages and nothing else. Whoever installs from it takes
// third-party packages from the registry that npm is configured with.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { runServer } from 'verdaccio';
import { emptyFolder } from './scratch.js';

export type Registry = {
  url: string;
  /** Writes the settings by which npm, pnpm and Yarn take `@tb/…` from here, into an empty folder. */
  configure(folder: string): void;
  /** Whether it has a package, and the manifest of its newest version. */
  manifest(name: string): Promise<Record<string, unknown> | undefined>;
  close(): Promise<void>;
};

export async function startRegistry(): Promise<Registry> {
  const storage = emptyFolder('registry');
  const everybody = { access: '$all', publish: '$all', unpublish: '$all' };
  const server: Server = await runServer({
    self_path: storage,
    storage: join(storage, 'packages'),
    auth: { htpasswd: { file: join(storage, 'users') } },
    uplinks: {},
    packages: { '@tb/*': everybody, '**': { access: 'nobody', publish: 'nobody' } },
    log: { type: 'file', path: join(storage, 'log'), level: 'warn' },
    web: { enable: false },
    max_body_size: '200mb',
  } as never);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `localhost:${(server.address() as AddressInfo).port}`;
  const url = `http://${host}/`;
  const configured = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim();

  return {
    url,
    configure(folder) {
      // Anybody may publish to it, but npm and pnpm do not try without a token.
      writeFileSync(join(folder, '.npmrc'), `@tb:registry=${url}\n//${host}/:_authToken=anybody\n`);
      const yarn = {
        npmRegistryServer: configured,
        npmScopes: { tb: { npmRegistryServer: url } },
        unsafeHttpWhitelist: ['localhost'],
        npmPreapprovedPackages: ['@tb/*'], // Yarn waits some days before it takes what was just published
        enableTelemetry: false,
        enableImmutableInstalls: false,
      };
      writeFileSync(join(folder, '.yarnrc.yml'), JSON.stringify(yarn)); // JSON is YAML
    },
    async manifest(name) {
      const response = await fetch(url + name.replace('/', '%2f'));
      if (response.status === 404) return undefined;
      const { versions, 'dist-tags': tags } = (await response.json()) as {
        versions: Record<string, Record<string, unknown>>;
        'dist-tags': { latest: string };
      };
      return versions[tags.latest];
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
