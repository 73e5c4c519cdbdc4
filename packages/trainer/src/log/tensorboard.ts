// TensorBoard event files: a sequence of records, each an Event message of tensorboard/compat/proto/event.proto.
import { hostname } from 'node:os';
import { join } from 'node:path';
import { crc32c } from './crc32c.js';
import { appendToLog } from './json-lines.js';
import { bytesField, doubleField, floatField, integerField, joinBytes } from './protobuf.js';

/** A PNG and its size in pixels. */
export type EncodedImage = { png: Uint8Array; width: number; height: number };

export type EventFile = {
  readonly path: string;
  scalars(step: number, values: Readonly<Record<string, number>>): void;
  image(step: number, name: string, image: EncodedImage): void;
};

/**
 * Starts a new event file in `folder`. Records are appended as they come, so a run that is cut off keeps all of them.
 *
 * @param firstStep - TensorBoard drops what earlier files of the folder hold from this step on
 */
export function createEventFile(folder: string, firstStep: number, now: () => number = Date.now): EventFile {
  const path = join(
    folder,
    `events.out.tfevents.${Math.floor(now() / 1000)}.${hostname()}.${process.pid}.${firstStep}`,
  );
  const write = (step: number, ...fields: Uint8Array[]) => {
    const event = joinBytes([doubleField(1, now() / 1000), integerField(2, step), ...fields]);
    appendToLog(path, record(event));
  };
  write(0, bytesField(3, 'brain.Event:2'));
  write(firstStep, bytesField(7, [integerField(1, 1)])); // SessionLog START
  return {
    path,
    scalars(step, values) {
      const summaries = Object.entries(values).map(([name, value]) =>
        bytesField(1, [bytesField(1, name), floatField(2, value)]),
      );
      write(step, bytesField(5, summaries));
    },
    image(step, name, { png, width, height }) {
      const image = [integerField(1, height), integerField(2, width), integerField(3, 3), bytesField(4, png)];
      write(step, bytesField(5, [bytesField(1, [bytesField(1, name), bytesField(4, image)])]));
    },
  };
}

/** Length, checksum of the length, data, checksum of the data. */
function record(data: Uint8Array): Uint8Array {
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(data.length), true);
  return joinBytes([length, maskedChecksum(length), data, maskedChecksum(data)]);
}

/** Rotated and shifted, because a checksum of data that holds its own checksum is weak. */
function maskedChecksum(bytes: Uint8Array): Uint8Array {
  const crc = crc32c(bytes);
  const masked = (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
  const result = new Uint8Array(4);
  new DataView(result.buffer).setUint32(0, masked, true);
  return result;
}
