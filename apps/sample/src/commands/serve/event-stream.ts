// Server-sent events as the body of an answer.

/** Bytes that wait for a slow reader, from which on events that can be missed are left out. */
const mostWaiting = 8 * 2 ** 20;

/** A comment now and then keeps connections open where nothing happens, in milliseconds. */
const interval = 15_000;

/** What is in a stream: where events go, and a signal that is aborted when the reader leaves. */
export type EventSink<Event> = { emit(event: Event): void; signal: AbortSignal };

/**
 * Makes an answer of events. It ends when `run` does; when the reader leaves, the signal is aborted.
 *
 * @param run - never rejects
 * @param canMiss - whether a slow reader may miss an event
 */
export function eventStream<Event extends object>(
  run: (sink: EventSink<Event>) => Promise<void>,
  canMiss: (event: Event) => boolean = () => false,
): Response {
  const left = new AbortController();
  const encoder = new TextEncoder();
  let timer: ReturnType<typeof setInterval>;
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const send = (text: string) => {
          if (!left.signal.aborted) controller.enqueue(encoder.encode(text));
        };
        timer = setInterval(() => send(':\n\n'), interval);
        const emit = (event: Event) => {
          if (canMiss(event) && (controller.desiredSize ?? 0) <= 0) return;
          send(`data: ${JSON.stringify(event)}\n\n`);
        };
        run({ emit, signal: left.signal }).finally(() => {
          clearInterval(timer);
          if (!left.signal.aborted) controller.close();
        });
      },
      cancel() {
        clearInterval(timer);
        left.abort(new Error('the reader left'));
      },
    },
    { highWaterMark: mostWaiting, size: (chunk) => chunk?.byteLength ?? 0 },
  );
  return new Response(body, { headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store' } });
}
