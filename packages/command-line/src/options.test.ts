import { describe, expect, it } from 'vitest';
import {
  changeDefaults,
  checkValues,
  choice,
  flagName,
  grouped,
  integer,
  list,
  merge,
  number,
  numbers,
  omit,
  parseFlags,
  resolve,
  suggestion,
  tableCommand,
  text,
  toggle,
  UsageError,
} from './index.js';

const table = {
  imageSize: integer('side', { min: 8, max: 4096 }),
  rate: number('rate', { min: 0 }),
  name: text('name'),
  flip: toggle('mirror'),
  kind: choice('kind', ['gaussian', 'linear']),
  classes: list('classes'),
  levels: numbers('levels', { min: 2, whole: true }),
};

describe('options', () => {
  it('reads flags by their kinds', () => {
    const flags = { imageSize: '64', rate: '1e-3', flip: true, kind: 'linear', classes: 'a, b', levels: '8,64' };
    expect(parseFlags(table, flags)).toEqual({
      imageSize: 64,
      rate: 0.001,
      flip: true,
      kind: 'linear',
      classes: ['a', 'b'],
      levels: [8, 64],
    });
  });

  it.each([
    [{ imageSize: '7' }, '--image-size must be an integer from 8 to 4096, got "7"'],
    [{ imageSize: '' }, '--image-size must be an integer from 8 to 4096, got ""'],
    [{ rate: 'fast' }, '--rate must be a number of at least 0, got "fast"'],
    [{ rate: 'Infinity' }, '--rate must be a number of at least 0, got "Infinity"'],
    [{ kind: 'round' }, '--kind must be one of gaussian, linear, got "round"'],
    [{ classes: 'a,,b' }, '--classes must be texts with commas between them, got "a,,b"'],
    [{ levels: '8,1' }, '--levels each must be an integer of at least 2, got "8,1"'],
    [{ levels: '8,2.5' }, '--levels each must be an integer of at least 2, got "8,2.5"'],
  ])('refuses %o', (flags, message) => {
    expect(() => parseFlags(table, flags as Record<string, string>)).toThrow(new UsageError(message));
  });

  it('checks the values of a file, and suggests the nearest name', () => {
    expect(checkValues(table, { imageSize: 64 }, 'config')).toEqual({ imageSize: 64 });
    expect(() => checkValues(table, { imagesize: 64 }, 'config')).toThrow(/unknown key "imagesize".*"imageSize"\?/);
    expect(() => checkValues(table, { rate: '1' }, 'config')).toThrow('config: rate must be a number of at least 0');
  });

  it('shows what a file holds in printable characters, cut where it is long, whatever it is', () => {
    const message = (value: unknown) => {
      try {
        checkValues(table, { rate: value }, 'config');
      } catch (error) {
        return (error as Error).message;
      }
      return undefined;
    };
    const circular: unknown[] = [];
    circular.push(circular);
    expect(message('x'.repeat(5000))?.length).toBeLessThan(200);
    expect(message('\u001b[31m\n\u202e')).toMatch(/got "\\u001b\[31m\\n\\u202e"$/);
    expect(message(Array(900).fill(1))).toMatch(/got \[1,1,[1,]+…$/);
    expect(message(5n)).toMatch(/got 5$/);
    expect(message(circular)).toMatch(/got a value that contains itself$/);
    expect(message(() => 1)).toMatch(/got \(\) => 1$/);
    expect(() => checkValues(table, { ['k'.repeat(900)]: 1 }, 'config')).toThrow(/^.{1,300}$/);
  });

  it('lets later sources win unless they set nothing', () => {
    expect(merge<object>({ rate: 1, name: 'a' }, { rate: undefined, name: 'b' })).toEqual({ rate: 1, name: 'b' });
  });

  it('resolves a table to its defaults and what overrides them', () => {
    const withDefaults = {
      rate: number('rate', { min: 0, default: 1 }),
      kind: choice('kind', ['gaussian', 'linear'], { default: 'linear' }),
      name: text('name'),
    };
    const { rate, kind, name } = resolve(withDefaults, { rate: undefined }, { kind: 'gaussian', name: 'a' });
    expect([rate.toFixed(1), kind, name?.length]).toEqual(['1.0', 'gaussian', 1]); // the type has a rate, and perhaps a name
    const changed = changeDefaults(omit(withDefaults, 'kind'), { name: 'b' });
    expect(resolve(changed)).toEqual({ rate: 1, name: 'b' });
    expect(resolve(changed).name.length).toBe(1);
    expect(Object.keys(withDefaults)).toEqual(['rate', 'kind', 'name']);
  });

  it('suggests what is near and nothing else', () => {
    expect(suggestion('gras', ['brick', 'grass'])).toBe('; did you mean "grass"?');
    expect(suggestion('television', ['brick', 'grass'])).toBe('');
    expect(suggestion('grass', [])).toBe('');
    expect(flagName('imageSize')).toBe('image-size');
  });
});

describe('tableCommand', () => {
  it('hands over what was typed and nothing else, with its arguments', async () => {
    const given: unknown[] = [];
    const other = changeDefaults(table, { rate: 2, flip: true });
    const command = tableCommand('test', other, async (flags, positional) => {
      given.push(flags, positional);
    }).argument('<files...>');
    await command.parseAsync(['a.png', '--no-flip', '--levels', '2,3', 'b.png'], { from: 'user' });
    expect(given).toEqual([{ flip: false, levels: [2, 3] }, ['a.png', 'b.png']]);
    const help = command.helpInformation();
    expect(help).toMatch(/--rate <number> +rate \(default: 2\)/);
    expect(help).toMatch(/--flip +mirror \(default; --no-flip turns it off\)/);
    expect(help).toMatch(/--image-size <integer> +side \[8 to 4096\]\n/);
  });

  it('lists options under their headings', () => {
    const own = {
      ...grouped('Images', { size: integer('size', { defaultText: 'that of the data' }) }),
      name: text('name'),
    };
    const help = tableCommand('test', own, async () => {}).helpInformation();
    expect(help).toMatch(
      /Options:\n +--name <text> .*\n\nImages:\n +--size <integer> +size \(default: that of the data\)/s,
    );
  });
});
