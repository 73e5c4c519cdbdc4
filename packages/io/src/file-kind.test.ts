import { expect, it } from 'vitest';
import { readCheckpoint, readSafetensors } from './index.js';

const ascii = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

it.each([
  ['', 'the file is empty'],
  ['<!DOCTYPE html><html><title>Sign in</title></html>', 'the file is a web page: download the file itself'],
  ['\n  <html>Too many requests</html>', 'the file is a web page'],
  ['version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\n', 'git lfs pull'],
  ['\x1f\x8b\x08\0\0\0\0\0\0\x03', 'the file is compressed: unpack it first'],
])('reports what was saved in place of weights: %j', async (text, kind) => {
  await expect(readCheckpoint(ascii(text))).rejects.toThrow(kind);
  await expect(readSafetensors(ascii(text))).rejects.toThrow(kind);
});

it('distinguishes weights of one format from those of another', async () => {
  const safetensors = ascii('\x40\0\0\0\0\0\0\0{"a":{}}');
  await expect(readCheckpoint(safetensors)).rejects.toThrow('nor a pickle; the file is safetensors');
  const zip = ascii('PK\x03\x04\0\0\x08\x08\0\0');
  await expect(readSafetensors(zip)).rejects.toThrow('the file is a zip archive, as torch.save');
  await expect(readSafetensors(ascii('\x80\x02\x8a\nl\xfc\x9cF'))).rejects.toThrow('the file is a pickle');
});

it('adds nothing where the bytes are not recognized', async () => {
  await expect(readCheckpoint(ascii('weights'))).rejects.toThrow(/neither a zip archive nor a pickle$/);
});
