const short: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Longer texts from a file are cut in messages. */
const LONGEST_QUOTE = 80;

/**
 * Text from outside, such as the name of a file, for the middle of a line: characters that would break the line, steer a
 * terminal or turn the direction of writing are escaped.
 */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu,
    (character) => short[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Text from outside in double quotes, printable, and cut where it is long. */
export function quoted(text: string): string {
  const start = text.length > LONGEST_QUOTE ? text.slice(0, LONGEST_QUOTE) : text;
  return printable(JSON.stringify(start)) + (start.length < text.length ? '…' : '');
}

/** The first names of a list, quoted where they need it; `none` for an empty list. */
export function listed(names: readonly string[], most = 20): string {
  const shown = names.slice(0, most).map((name) => (/^[\p{L}\p{N}_.:/-]{1,80}$/u.test(name) ? name : quoted(name)));
  return shown.length === 0 ? 'none' : shown.join(', ') + (names.length > most ? ', …' : '');
}
