// Bodies of requests, of the kind and size that is expected.
import { RefusedError } from '../../page/check-requests.js';

/** Bytes of a request in JSON: an edit of a large latent map fits. */
const mostJson = 2 ** 20;

/**
 * Reads a body. Browsers let other sites send neither of the kinds that are asked for here without asking first.
 *
 * @throws RefusedError when it is of another kind (415) or too large (413)
 */
export async function readBytes(request: Request, kind: string, most: number): Promise<Uint8Array> {
  const given = request.headers.get('content-type')?.split(';')[0].trim().toLowerCase();
  if (given !== kind) throw new RefusedError(`the content-type must be ${kind}`, 415);
  const tooLarge = new RefusedError(`at most ${most} bytes can be sent`, 413);
  if (Number(request.headers.get('content-length') ?? 0) > most) throw tooLarge;
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of request.body ?? []) {
    length += piece.byteLength;
    if (length > most) throw tooLarge;
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** @throws RefusedError when it is not JSON, of another kind or too large */
export async function readJsonBody(request: Request): Promise<unknown> {
  const bytes = await readBytes(request, 'application/json', mostJson);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new RefusedError('the request is not JSON');
  }
}
