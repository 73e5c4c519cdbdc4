import { Command, Option as CommanderOption } from 'commander';
import { defaultsOf, flagName, merge, type Option, type Options, type Overrides, parseFlags } from './options.js';

type Action<Table extends Options> = (flags: Overrides<Table>, positional: string[]) => Promise<void>;

/**
 * A subcommand whose flags are those of a table.
 *
 * @param action - gets the flags that were typed, and no others, and the arguments
 */
export function tableCommand<Table extends Options>(name: string, table: Table, action: Action<Table>): Command;
/** @deprecated defaults belong into the table */
export function tableCommand<Table extends Options>(
  name: string,
  table: Table,
  defaults: Overrides<Table>,
  action: Action<Table>,
): Command;
export function tableCommand<Table extends Options>(
  name: string,
  table: Table,
  defaultsOrAction: Overrides<Table> | Action<Table>,
  lastAction?: Action<Table>,
): Command {
  const action = lastAction ?? (defaultsOrAction as Action<Table>);
  const defaults = merge<object>(defaultsOf(table), lastAction ? defaultsOrAction : {}) as Record<string, unknown>;
  const command = new Command(name);
  // The help lists headings in the order of their first options: those of this command alone come first.
  const options = Object.entries(table).sort(([, a], [, b]) => Number('group' in a) - Number('group' in b));
  for (const [key, option] of options) {
    const flag = `--${flagName(key)}${option.placeholder ? ` <${option.placeholder}>` : ''}`;
    const described = new CommanderOption(flag, describe(key, option, defaults[key]));
    command.addOption(option.group ? described.helpGroup(`${option.group}:`) : described);
    if (!option.placeholder) command.addOption(new CommanderOption(`--no-${flagName(key)}`).hideHelp());
  }
  // Commander sets a switch with a --no- form to true when neither is given; only what was typed counts here.
  return command.allowExcessArguments(false).action(async () => {
    const typed = Object.entries(command.opts()).filter(([key]) => command.getOptionValueSource(key) === 'cli');
    await action(parseFlags(table, Object.fromEntries(typed)), command.args);
  });
}

function describe(key: string, { description, defaultText }: Option<unknown>, value: unknown): string {
  if (value === true) return `${description} (default; --no-${flagName(key)} turns it off)`;
  const text = value ?? defaultText;
  return text === undefined || text === false ? description : `${description} (default: ${text})`;
}
