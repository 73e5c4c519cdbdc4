// Who may ask, and what the headers of every answer forbid. Pages of other sites, host names that lead here (DNS rebinding) and
// machines without the token are refused before the body of a request is read.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import { RefusedError } from '../../page/check-requests.js';

/** Under which addresses the server answers, and to whom. */
export type AccessOptions = {
  /** What --host names. */
  host: string;
  /** Further names under which it is reached, in lower case. */
  names: readonly string[];
  /** Needed for every request where others than this machine can connect. */
  token?: string;
};

/** Whether a host name or address is one that only this machine can reach. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase();
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'));
}

/** Makes a random token. */
export const newToken = () => randomBytes(32).toString('base64url');

/** `name:port`, `1.2.3.4:port`, `[::1]:port`, each also without the port. */
const hostPattern = /^(\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?)(?::\d{1,5})?$/i;

/**
 * Checks where a request comes from.
 *
 * @throws RefusedError with status 400 or 403
 */
export function assertOrigin(request: Request, { host, names }: AccessOptions): void {
  const { headers, method } = request;
  const asked = headers.get('host') ?? '';
  const name = hostPattern.exec(asked)?.[1]?.toLowerCase();
  if (name === undefined) throw new RefusedError('the request names no host', 400);
  if (!isOurName(name, host, names)) throw new RefusedError('this host name is not answered; see --allow-host', 403);
  const origin = headers.get('origin');
  const isOurs = origin === `http://${asked}` || origin === `https://${asked}`;
  if (origin === null ? method === 'POST' : !isOurs) throw new RefusedError('requests of other sites are refused', 403);
  const site = headers.get('sec-fetch-site') ?? 'none';
  if (site !== 'same-origin' && site !== 'none' && !isLink(request))
    throw new RefusedError('requests of other sites are refused', 403);
}

/** Whether a person follows a link to the page. */
const isLink = ({ method, url, headers }: Request) =>
  method === 'GET' && new URL(url).pathname === '/' && headers.get('sec-fetch-dest') === 'document';

function isOurName(name: string, host: string, names: readonly string[]): boolean {
  const bare = name.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  if (names.includes(bare) || bare === host.toLowerCase() || isLoopback(bare)) return true;
  // A site that leads to this address has a name; an address in numbers was typed by a person, who has the token.
  return !isLoopback(host) && isIP(bare) !== 0;
}

/** Whether a text is the token. The time of the comparison depends on neither. */
export function isToken(text: string | undefined, token: string): boolean {
  const hash = (value: string) => createHash('sha256').update(value).digest();
  return text !== undefined && timingSafeEqual(hash(text), hash(token));
}

/** Cookies are shared by all ports of a host, so that the name has the port. */
export const cookieName = (port: number) => `tb-sample-${port}`;

/** Headers of every answer. */
export const safetyHeaders: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "connect-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
};
