import { expect, it } from 'vitest';
import { eventStream } from './event-stream.js';

type Event = { type: 'large' | 'last'; text?: string };

it('lets a slow reader miss what can be missed, and nothing else', async () => {
  const text = 'x'.repeat(2 ** 20);
  const response = eventStream<Event>(
    async ({ emit }) => {
      for (let i = 0; i < 100; i++) emit({ type: 'large', text });
      emit({ type: 'last' });
    },
    ({ type }) => type === 'large',
  );
  const lines = (await response.text()).trim().split('\n\n');
  expect(lines.length).toBeGreaterThan(2);
  expect(lines.length).toBeLessThan(12);
  expect(lines.at(-1)).toBe('data: {"type":"last"}');
});

it('writes every event in one line, and aborts its signal when the reader leaves', async () => {
  let signal: AbortSignal | undefined;
  const response = eventStream<Event>((sink) => {
    signal = sink.signal;
    sink.emit({ type: 'last', text: 'two\n\ndata: lines' });
    return new Promise((resolve) => sink.signal.addEventListener('abort', () => resolve()));
  });
  const reader = response.body!.getReader();
  const { value } = await reader.read();
  expect(new TextDecoder().decode(value)).toBe('data: {"type":"last","text":"two\\n\\ndata: lines"}\n\n');
  await reader.cancel();
  expect(signal?.aborted).toBe(true);
});
