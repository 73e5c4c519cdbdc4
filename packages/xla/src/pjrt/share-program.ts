/**
 * One program for all processes of a group: process 0 compiles it, or finds it in its cache folder, and the others load
 * the same machine code. So they agree on the kernels that its search has chosen, and on what is in the cache; and
 * nothing is compiled twice at the same time.
 */
import { nextKey, receiveBytes, sendBytes } from '@tb/runtime';
import type { CompileOptions } from '../executor.js';
import type { Client } from './client.js';
import { PjrtError } from './errors.js';
import { deserialize, type LoadedProgram, serialize } from './loaded-program.js';

/** Compiling takes minutes at most; a process that waits longer waits for one that has died. */
const compileTimeoutMs = 60 * 60_000;

/** The first byte of what process 0 sends. */
const Answer = { program: 0, compileYourself: 1, failed: 2 } as const;

/**
 * The program that process 0 has loaded, in every process.
 *
 * @param key - the same in all processes, for equal programs
 * @param load - loads or compiles the program in this process
 * @throws what `load` throws; in the others an Error with process 0's reason, or when nothing comes in time
 */
export function shareProgram(
  client: Client,
  key: string,
  { onBegin }: Pick<CompileOptions, 'onBegin'>,
  load: () => LoadedProgram,
  timeoutMs = compileTimeoutMs,
): LoadedProgram {
  const processes = client.processes!;
  const place = nextKey(processes, `binary/${key}`);
  if (processes.index === 0) return loadAndSend(client, place, load, timeoutMs);
  onBegin?.(false);
  const answer = receiveBytes(processes, place, { timeoutMs });
  const payload = answer.subarray(1);
  if (answer[0] === Answer.failed) throw new Error(`process 0: ${new TextDecoder().decode(payload)}`);
  if (answer[0] === Answer.compileYourself) return load();
  return { loaded: deserialize(client, payload), cached: true };
}

function loadAndSend(client: Client, place: string, load: () => LoadedProgram, timeoutMs: number): LoadedProgram {
  const send = (kind: number, payload: Uint8Array) =>
    sendBytes(client.processes!, place, Buffer.concat([Uint8Array.of(kind), payload]), { timeoutMs });
  let program: LoadedProgram;
  try {
    program = load();
  } catch (error) {
    send(Answer.failed, new TextEncoder().encode((error as Error).message));
    throw error;
  }
  try {
    send(Answer.program, serialize(client, program.loaded));
  } catch (error) {
    if (!(error instanceof PjrtError)) throw error;
    send(Answer.compileYourself, new Uint8Array()); // this plugin cannot serialize the program
  }
  return program;
}
