/** Brings values to the device that needs them. */
import type { DeviceBuffer, Executor } from './executor.js';
import type { Node } from './graph/node.js';

/** Small arrays keep their host copy, so that reading them back, or giving them to further devices, costs nothing. */
const HOST_COPIES_BELOW = 1024;

/** An array on the device that needs it. The caller frees a copy. */
export type Placed = { buffer: DeviceBuffer; isCopy: boolean };

/**
 * The value of a node that is computed: its own array, which a value from the host gets here, on the device that asks
 * first; or a copy of it by way of the host.
 */
export function placeOn(executor: Executor, node: Node, device: number): Placed {
  if (!node.buffer) {
    node.buffer = executor.upload(node.host!, node.type, device);
    if (node.host!.length > HOST_COPIES_BELOW) node.host = undefined;
  }
  if (node.buffer.device === device) return { buffer: node.buffer, isCopy: false };
  return { buffer: copyTo(executor, node, device), isCopy: true };
}

/** A copy of a node's value on another device, by way of the host. */
export function copyTo(executor: Executor, { host, buffer, type }: Node, device: number): DeviceBuffer {
  return executor.upload(host ?? executor.downloadSync(buffer!), type, device);
}
