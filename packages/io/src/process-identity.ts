// Which process left something in a folder, and whether it is still alive. A PID alone is not enough: it means something on
// one computer, since its last start, in one container, and is used again.
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

export type ProcessIdentity = {
  pid: number;
  /** When the process started, in ticks since the computer did; 0 where the system does not report it. */
  start: number;
  host: string;
  /** Of the operating system's installation; empty where the system does not report it. */
  machine: string;
  /** Changes whenever the computer starts; empty where the system does not report it. */
  boot: string;
  /** The container in which the PID means something; empty where the system does not report it. */
  pidNamespace: string;
  /** Processes of one such namespace have one host name; empty where the system does not report it. */
  hostNamespace: string;
};

let identity: ProcessIdentity | undefined;

export function thisProcess(): ProcessIdentity {
  if (identity?.pid !== process.pid)
    identity = {
      pid: process.pid,
      start: statusOf(process.pid)?.start ?? 0,
      host: hostname(),
      machine: tryRead(() => readFileSync('/etc/machine-id', 'utf8')).trim(),
      boot: tryRead(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')).trim(),
      pidNamespace: tryRead(() => readlinkSync('/proc/self/ns/pid')),
      hostNamespace: tryRead(() => readlinkSync('/proc/self/ns/uts')),
    };
  return identity;
}

/** The name of Linux's first host namespace, outside all containers. */
const firstHostNamespace = 'uts:[4026531838]';

/**
 * Whether a process has ended.
 *
 * @returns undefined where this cannot be found out from here: it runs on another computer or in another container
 */
export function hasEnded(owner: ProcessIdentity, here = thisProcess()): boolean | undefined {
  if (owner.host !== here.host || owner.machine !== here.machine) return undefined;
  if (owner.boot !== here.boot) return owner.boot !== '' && here.boot !== '' ? true : undefined;
  if (owner.pidNamespace !== here.pidNamespace) {
    // A container with its own host name was started again. Without one, another container may be running.
    const isOneContainer = owner.hostNamespace !== firstHostNamespace && here.hostNamespace !== firstHostNamespace;
    return isOneContainer ? true : undefined;
  }
  return !isAlive(owner);
}

/** Whether a process of this computer and container is alive. */
export function isAlive({ pid, start }: { pid: number; start: number }): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const status = statusOf(pid);
  return status === undefined || (status.start === start && !status.ended);
}

/** When a process of Linux started, in ticks since the computer did, and whether only its parent still remembers it. */
function statusOf(pid: number): { start: number; ended: boolean } | undefined {
  const text = tryRead(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const start = Number(fields[19]);
  return text !== '' && Number.isSafeInteger(start)
    ? { start, ended: fields[0] === 'Z' || fields[0] === 'X' }
    : undefined;
}

function tryRead(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
