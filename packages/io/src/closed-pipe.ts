/**
 * Keeps the process running when a reader of its output ends: what is written to a closed pipe, as with `| head`, is dropped
 * instead of ending hours of work with a stack trace. Call it at the start; further calls do nothing.
 */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    if (!stream.listeners('error').includes(dropWhenClosed)) stream.on('error', dropWhenClosed);
  }
}

function dropWhenClosed(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}
