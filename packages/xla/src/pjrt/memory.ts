/**
 * Memory that C code reads and writes. Blocks are ordinary ArrayBuffers: V8 keeps their contents off its movable heap,
 * so an address stays valid for as long as the buffer itself is referenced.
 */
import koffi from 'koffi';

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
