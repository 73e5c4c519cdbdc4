import { useState } from 'preact/hooks';

/** A line of text for a terminal, with a button that copies it. */
export function CopyLine({ text, label }: { text: string; label: string }) {
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
  };
  return (
    <div class="copy">
      <code>{text}</code>
      <button type="button" onClick={copy} onBlur={() => setCopied(false)}>
        <span aria-live="polite">{isCopied ? 'Copied' : label}</span>
      </button>
    </div>
  );
}
