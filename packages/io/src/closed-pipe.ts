/**
 * Lets the process outlive those who read its output: what is written to a closed pipe, as behind `| head`, is dropped
 * instead of ending hours of work with a stack trace. To be called once at the start, or as often as one likes.
 */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    if (!stream.listeners('error').includes(dropWhenClosed)) stream.on('error', dropWhenClosed);
  }
}

function dropWhenClosed(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}
