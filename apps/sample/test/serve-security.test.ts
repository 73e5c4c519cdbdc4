import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodePng } from '@tb/images';
import { useBackend } from '@tb/runtime';
import { testBackend } from '@tb/test-utils';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isLoopback } from '../src/commands/serve/access.js';
import type { RunList } from '../src/page/messages.js';
import { type Answer, ask, post, startTestServer, upload } from './page-server.js';

let server: Awaited<ReturnType<typeof startTestServer>>;
let shared: Awaited<ReturnType<typeof startTestServer>>;
let folder: string;
const token = 'a-long-token';
const png = await encodePng({ width: 20, height: 16, data: new Uint8Array(960) });

beforeAll(async () => {
  await useBackend(testBackend);
  folder = await mkdtemp(join(tmpdir(), 'tb-serve-'));
  await makeRuns(folder);
  server = await startTestServer({
    runs: join(folder, 'runs'),
    access: { names: ['page.example'] },
    uploads: { maxPixels: 1000 },
    uploadBytes: 10_000,
  });
  shared = await startTestServer({ access: { host: '0.0.0.0', token, names: ['gpu-host'] } });
});
afterAll(async () => {
  await server.close();
  await shared.close();
  await rm(folder, { recursive: true });
});

/** A run, and links by which others might be read. */
async function makeRuns(folder: string) {
  const outside = join(folder, 'outside');
  for (const path of [outside, join(outside, 'samples'), join(folder, 'runs/a/samples'), join(folder, 'runs/b')])
    await mkdir(path, { recursive: true });
  const log = '{"event":"begin","step":0,"steps":2}\n{"event":"step","step":1,"loss":0.5,"note":"<script>"}\n';
  await writeFile(join(outside, 'log.jsonl'), log);
  await writeFile(join(outside, 'secret.png'), png);
  await writeFile(join(folder, 'runs/a/log.jsonl'), log);
  await writeFile(join(folder, 'runs/a/samples/step-00000001.png'), png);
  await writeFile(join(folder, 'runs/a/samples/step-00000002.png'), 'no image, but <script>');
  await symlink(join(outside, 'secret.png'), join(folder, 'runs/a/samples/step-00000003.png'));
  await symlink('step-00000001.png', join(folder, 'runs/a/samples/step-00000004.png'));
  await symlink(outside, join(folder, 'runs/linked'));
  await symlink(join(outside, 'log.jsonl'), join(folder, 'runs/b/log.jsonl'));
}

const messageOf = ({ body }: Answer) => JSON.parse(body.toString()).message;

describe('requests of others', () => {
  it.each(['localhost', '127.0.0.1', '[::1]', 'LOCALHOST', '127.8.8.8', 'page.example', 'page.example:80'])(
    'are answered for the host %s',
    async (host) => {
      expect((await ask(server.address, '/api/model', { headers: { host } })).status).toBe(200);
    },
  );

  it.each(['evil.example', 'localhost.evil.example', '10.0.0.1', '127.0.0.1.nip.io', '[fe80::1]', 'sub.page.example'])(
    'are refused for the host %s, which may lead here (DNS rebinding)',
    async (host) => {
      for (const path of ['/', '/api/model', '/nothing']) {
        const answer = await ask(server.address, path, { headers: { host } });
        expect([answer.status, messageOf(answer)]).toEqual([403, 'this host name is not answered; see --allow-host']);
      }
    },
  );

  it.each(['local host', 'a@localhost', 'localhost/..', 'localhost:99999999'])(
    'are refused without a valid host: %j',
    async (host) => {
      expect((await ask(server.address, '/', { headers: { host } })).status).toBe(400);
    },
  );

  it('are refused from other origins, ports of this machine included', async () => {
    const { port } = new URL(server.address);
    const host = `127.0.0.1:${port}`;
    const status = async (method: string, headers: Record<string, string>) => {
      const body = method === 'POST' ? '{}' : undefined;
      const json: Record<string, string> = body ? { 'content-type': 'application/json' } : {};
      const path = method === 'POST' ? '/api/generate' : '/api/model';
      return (await ask(server.address, path, { method, headers: { host, ...json, ...headers }, body })).status;
    };
    for (const origin of [
      'http://evil.example',
      'null',
      `http://127.0.0.1:${Number(port) + 1}`,
      `http://localhost:${port}`,
    ]) {
      expect(await status('GET', { origin }), origin).toBe(403);
      expect(await status('POST', { origin }), origin).toBe(403);
    }
    expect(await status('POST', {})).toBe(403);
    for (const site of ['cross-site', 'same-site']) {
      expect(await status('GET', { 'sec-fetch-site': site })).toBe(403);
      expect(await status('POST', { 'sec-fetch-site': site, origin: `http://${host}` })).toBe(403);
    }
    expect(await status('GET', { origin: `http://${host}`, 'sec-fetch-site': 'same-origin' })).toBe(200);
    expect(await status('POST', { origin: `http://${host}` })).toBe(400); // the origin is right, the request is not
  });

  it('may be links to the page, but not parts of other pages', async () => {
    const from = (dest: string) => ({ headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': dest } });
    expect((await ask(server.address, '/', from('document'))).status).toBe(200);
    expect((await ask(server.address, '/', from('iframe'))).status).toBe(403);
    expect((await ask(server.address, '/api/model', from('document'))).status).toBe(403);
    expect((await ask(server.address, '/assets/page-abcdefgh.js', from('script'))).status).toBe(403);
  });

  it('get no permission from CORS', async () => {
    const { port } = new URL(server.address);
    const headers = { host: `127.0.0.1:${port}`, 'access-control-request-method': 'POST' };
    for (const origin of ['http://evil.example', `http://127.0.0.1:${port}`]) {
      const answer = await ask(server.address, '/api/generate', { method: 'OPTIONS', headers: { ...headers, origin } });
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
    }
  });

  it('need the kinds of content that browsers let other sites not send', async () => {
    const { origin, port } = new URL(server.address);
    const host = `127.0.0.1:${port}`;
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'image/png',
    ])
      for (const path of ['/api/generate', '/api/images']) {
        const headers = { host, origin, 'content-type': type };
        expect((await ask(server.address, path, { method: 'POST', headers, body: '{}' })).status).toBe(415);
      }
  });
});

describe('where others can connect', () => {
  it('nothing is answered without the token', async () => {
    for (const path of [
      '/',
      '/api/model',
      '/?token=wrong',
      '/api/model?token=a-long-token',
      '/assets/page-abcdefgh.js',
      '/x',
    ]) {
      const answer = await ask(shared.address, path);
      expect([path, answer.status]).toEqual([path, 401]);
      expect(answer.body.toString()).not.toContain('wrong');
    }
    const { port } = new URL(shared.address);
    const cookie = (value: string) => ({ headers: { cookie: `tb-sample-${port}=${value}` } });
    for (const wrong of ['', 'wrong', `${token}x`, token.slice(1)])
      expect((await ask(shared.address, '/api/model', cookie(wrong))).status).toBe(401);
    expect((await ask(shared.address, '/api/model', cookie(token))).status).toBe(200);
  });

  it('the token in the address becomes a cookie that scripts and other sites do not get', async () => {
    const answer = await ask(shared.address, `/?token=${token}`);
    expect([answer.status, answer.headers.location]).toEqual([303, '/']);
    const [cookie] = answer.headers['set-cookie'] as string[];
    expect(cookie).toContain(`tb-sample-${new URL(shared.address).port}=${token}`);
    expect(cookie).toContain('HttpOnly');
    expect(cookie).toContain('SameSite=Lax');
    expect(answer.headers['referrer-policy']).toBe('no-referrer');
  });

  it('addresses in numbers and the name of the machine are answered, other names are not', async () => {
    const status = async (host: string) => (await ask(shared.address, '/', { headers: { host } })).status;
    expect([await status('192.168.1.7:80'), await status('[2001:db8::1]'), await status('gpu-host')]).toEqual([
      401, 401, 401,
    ]);
    expect(await status('evil.example')).toBe(403);
  });

  it('loopback is known by its names and addresses', () => {
    expect(['127.0.0.1', '127.1.2.3', '::1', 'localhost'].every(isLoopback)).toBe(true);
    expect(['0.0.0.0', '::', '10.0.0.1', 'example', '127.evil.example', ''].some(isLoopback)).toBe(false);
  });
});

it('every answer forbids inline scripts, guessing of types and frames', async () => {
  const answers = [
    server.beforeStart,
    await ask(server.address, '/'),
    await ask(server.address, '/api/model'),
    await ask(server.address, '/nothing'),
    await ask(server.address, '/', { headers: { host: 'evil.example' } }),
    await ask(shared.address, '/'),
    await ask(server.address, '/api/classes/1.png'),
  ];
  expect(answers.map(({ status }) => status)).toEqual([503, 200, 200, 404, 403, 401, 200]);
  for (const { headers } of answers) {
    const policy = String(headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
    expect(policy).not.toContain('unsafe');
    expect(policy).toContain("frame-ancestors 'none'");
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(headers['access-control-allow-origin']).toBeUndefined();
    expect(headers['cross-origin-resource-policy']).toBe('same-origin');
  }
});

it('nothing of a request comes back unescaped', async () => {
  const script = '<script>alert(1)</script>';
  const { origin, port } = new URL(server.address);
  const headers = { host: `127.0.0.1:${port}`, origin, 'content-type': 'application/json' };
  const answers = [
    await ask(server.address, `/${encodeURIComponent(script)}?${encodeURIComponent(script)}`),
    await ask(server.address, '/api/runs/<script>/events'.replaceAll(' ', '')),
    await ask(server.address, '/api/generate', { method: 'POST', headers, body: JSON.stringify({ guidance: script }) }),
    await ask(server.address, '/', { headers: { cookie: script, 'x-forwarded-host': script, 'user-agent': script } }),
  ];
  for (const { headers, body } of answers) {
    const type = String(headers['content-type']);
    expect(type.startsWith('application/json') || body.toString() === '<!doctype html>').toBe(true);
    expect(JSON.stringify(headers)).not.toContain('alert');
  }
});

describe('files', () => {
  it.each([
    '/../package.json',
    '/..%2f..%2fpackage.json',
    '/assets/../../package.json',
    '/assets/%2e%2e/%2e%2e/etc/passwd',
    '//etc/passwd',
    '/assets/',
    '/assets/page-abcdefgh.js%00.html',
    '/C:%5cWindows',
  ])('are only those of the page: %s', async (path) => {
    const { status } = await ask(server.address, path);
    expect(status === 404 || status === 400).toBe(true);
  });

  it('of runs are below their folder, and named only by ids', async () => {
    const { runs } = (await (await fetch(new URL('api/runs', server.address))).json()) as RunList;
    expect(runs.map(({ name, step, steps, isFinished }) => ({ name, step, steps, isFinished }))).toEqual([
      { name: 'a', step: 1, steps: 2, isFinished: false },
    ]);
    const [{ id }] = runs;
    const sample = (step: string, run = id) => ask(server.address, `/api/runs/${run}/samples/${step}`);
    const first = await sample('1');
    expect([first.status, first.headers['content-type']]).toEqual([200, 'image/png']);
    expect(first.body.equals(Buffer.from(png))).toBe(true);
    expect((await sample('4')).status).toBe(200); // a link that stays inside
    for (const step of ['2', '3', '5', '-1', '1.png', '../1', '..%2f..%2fsecret', '1e3', '000000001'])
      expect([step, (await sample(step)).status]).toEqual([step, 404]);
    for (const run of [
      '0'.repeat(32),
      'a',
      '..',
      '%2e%2e',
      join(folder, 'runs/a'),
      encodeURIComponent(join(folder, 'outside')),
    ])
      expect([run, (await sample('1', run)).status]).toEqual([run, 404]);
    expect((await ask(server.address, `/api/runs/${'0'.repeat(32)}/events`)).status).toBe(404);
    expect((await ask(shared.address, '/api/runs')).status).toBe(401);
  });

  it('are never named by requests to compute', async () => {
    const request = { image: '/etc/passwd', levels: 8, range: 5 };
    const answer = await post(server.address, 'api/reconstruct', request);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toEqual({ message: 'image must be an id, but is "/etc/passwd"' });
  });
});

describe('what is sent', () => {
  const { length } = png;

  it('is limited in bytes, whether the length is stated or not', async () => {
    const { origin, port } = new URL(server.address);
    const headers = { host: `127.0.0.1:${port}`, origin };
    const octets = { ...headers, 'content-type': 'application/octet-stream' };
    expect((await upload(server.address, new Uint8Array(10_001))).status).toBe(413);
    const chunked = { ...octets, 'transfer-encoding': 'chunked' };
    const tooLong = { method: 'POST', headers: chunked, body: new Uint8Array(20_000) };
    expect((await ask(server.address, '/api/images', tooLong)).status).toBe(413);
    const large = {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: ' '.repeat(2 ** 20 + 1),
    };
    expect((await ask(server.address, '/api/generate', large)).status).toBe(413);
    const long = await ask(server.address, `/${'x'.repeat(20_000)}`).then(
      ({ status }) => status,
      () => 431,
    );
    expect(long).toBe(431);
  });

  it('is an image within the limit of pixels, and no other file', async () => {
    const refusal = async (file: Uint8Array) => {
      const answer = await upload(server.address, file);
      return [answer.status, (await answer.json()).message];
    };
    const large = await encodePng({ width: 100, height: 11, data: new Uint8Array(3300) });
    expect(await refusal(large)).toEqual([
      415,
      expect.stringContaining('100 × 11 pixels, more than the limit of 1000'),
    ]);
    expect(await refusal(new Uint8Array(0))).toEqual([415, expect.stringContaining('cannot be read')]);
    expect(await refusal(new TextEncoder().encode('<svg onload="alert(1)"/>'))).toEqual([415, expect.any(String)]);
    expect(await refusal(png.subarray(0, length - 30))).toEqual([415, expect.stringContaining('cannot be read')]);
    expect((await upload(server.address, png)).status).toBe(200); // the thread is still there
  });

  it('is JSON with the right values', async () => {
    const { origin, port } = new URL(server.address);
    const headers = { host: `127.0.0.1:${port}`, origin, 'content-type': 'application/json' };
    for (const body of ['', '{', '\xff', `${'['.repeat(50_000)}`, 'null', '[]', '{"__proto__":{"guidance":3}}']) {
      const answer = await ask(server.address, '/api/generate', { method: 'POST', headers, body });
      expect([body.slice(0, 9), answer.status]).toEqual([body.slice(0, 9), 400]);
    }
    expect(server.errors).toEqual([]);
  });
});
