// Compiles src/backends/wasm/threaded-kernels.c and writes the result as text into threaded-kernels.wasm.ts, so that
// nobody needs a compiler to install or bundle the package. Run it after every change of the C file:
//
//     node packages/runtime/scripts/build-threaded-kernels.mjs      # needs clang and lld, 14 or later
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../src/backends/wasm/', import.meta.url));
const source = join(folder, 'threaded-kernels.c');
const work = mkdtempSync(join(tmpdir(), 'threaded-kernels-'));
const binary = join(work, 'kernels.wasm');

const features = ['-msimd128', '-mbulk-memory', '-matomics', '-mmutable-globals'];
const memory = ['--import-memory', '--shared-memory', '--max-memory=4294967296'];
const link = ['--no-entry', ...memory, '--export=__stack_pointer', '-s'].map((flag) => `-Wl,${flag}`);
try {
  const flags = ['--target=wasm32', '-O3', '-Wall', '-Werror', ...features, '-nostdlib', ...link];
  execFileSync('clang', [...flags, '-o', binary, source], { stdio: 'inherit' });
  const code = readFileSync(binary);
  const hash = createHash('sha256').update(readFileSync(source)).digest('hex');
  writeFileSync(
    join(folder, 'threaded-kernels.wasm.ts'),
    `// Written by scripts/build-threaded-kernels.mjs: do not edit.

/** SHA-256 of the C file that the code was compiled from. */
export const sourceSha256 = '${hash}';

/** threaded-kernels.c as WebAssembly, in base64. */
export const threadedKernels =
  '${code.toString('base64')}';
`,
  );
  console.log(`${code.length} bytes of WebAssembly`);
} finally {
  rmSync(work, { recursive: true });
}
