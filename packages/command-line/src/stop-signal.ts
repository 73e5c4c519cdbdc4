const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const;

/**
 * Turns the first Ctrl-C or SIGTERM into an abort, so that the run can save; the second ends the process at once.
 *
 * @param message - printed at the first signal
 */
export function listenForStop(message = 'saving after this step; once more ends without saving') {
  const controller = new AbortController();
  let exitCode = 0;
  const stop = (name: keyof typeof exitCodes) => {
    if (controller.signal.aborted) process.exit(exitCodes[name]);
    exitCode = exitCodes[name];
    console.error(`\n${name}: ${message}`);
    controller.abort();
  };
  const listeners = (Object.keys(exitCodes) as (keyof typeof exitCodes)[]).map((name) => {
    const listener = () => stop(name);
    process.on(name, listener);
    return { name, listener };
  });
  return {
    signal: controller.signal,
    /** What the process should exit with: 0 when no signal came. */
    exitCode: () => exitCode,
    close() {
      for (const { name, listener } of listeners) process.off(name, listener);
    },
  };
}
