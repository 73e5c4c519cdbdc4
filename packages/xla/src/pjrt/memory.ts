/**
 * Memory that C code reads and writes. Blocks are ordinary ArrayBuffers: V8 keeps their contents off its movable heap,
 * so an address stays valid for as long as the buffer itself is referenced.
 */
import { koffi } from './koffi.js';

// koffi runs C on its own stacks, 2 MiB and 128 KiB by default. XLA's compiler needs more, and overflowing one ends the
// process. Memory is taken only as it is used.
const STACK_BYTES = 16 * 1024 * 1024;

/**
 * Must run before koffi loads its first library, whoever loads it.
 * @throws Error when that is too late and the stacks are small
 */
export function configureStacks(): void {
  const { sync_stack_size = 0, async_stack_size = 0 } = koffi.config();
  if (Math.min(sync_stack_size, async_stack_size) >= STACK_BYTES) return;
  try {
    koffi.config({ sync_stack_size: STACK_BYTES, async_stack_size: STACK_BYTES });
  } catch {
    throw new Error(
      'configureStacks: another module loaded a library through koffi before @tb/xla, with stacks too small for ' +
        `XLA's compiler. Import @tb/xla first, or call koffi.config({ sync_stack_size: ${STACK_BYTES}, async_stack_size: ` +
        `${STACK_BYTES} }) before that`,
    );
  }
}

/** A pointer's value; 0n is null. */
export type Address = bigint;

export type Block = { readonly address: Address; readonly view: DataView; readonly bytes: Uint8Array };

/** Where the contents of a typed array lie. The caller keeps the array alive for as long as C uses the address. */
export function addressOf(data: ArrayBufferView | ArrayBuffer): Address {
  return data.byteLength === 0 ? 0n : koffi.address(data);
}

/** Zeroed memory of at least `size` bytes. */
export function allocate(size: number): Block {
  const buffer = new ArrayBuffer(Math.max(size, 8));
  return { address: addressOf(buffer), view: new DataView(buffer), bytes: new Uint8Array(buffer) };
}

/** A copy of `data` for C to read; `length` is its size in bytes. */
export function blockOf(data: Uint8Array | string): Block & { readonly length: number } {
  const source = typeof data === 'string' ? new TextEncoder().encode(data) : data;
  const block = allocate(source.length + 1); // one zero behind the text, for readers that want it terminated
  block.bytes.set(source);
  return { ...block, length: source.length };
}

/** Memory that belongs to C, as a view: valid only while C keeps it. */
export function viewMemory(address: Address, size: number): DataView {
  return new DataView(size === 0 ? new ArrayBuffer(0) : koffi.view(address, size));
}

export function readBytes(address: Address, size: number): Uint8Array {
  const view = viewMemory(address, size);
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();
}

export function readText(address: Address, size: number): string {
  return new TextDecoder().decode(readBytes(address, size));
}

/** An array of `count` pointers. */
export function readPointers(address: Address, count: number): Address[] {
  const view = viewMemory(address, count * 8);
  return Array.from({ length: count }, (_, index) => view.getBigUint64(index * 8, true));
}
