import { Command, Option as CommanderOption } from 'commander';
import { flagName, type Option, type Options, type ValuesOf } from './options.js';
import { parseFlags } from './resolve.js';

/**
 * A subcommand whose flags are those of a table.
 *
 * @param defaults - shown in the help; `action` fills them in itself
 * @param action - gets the flags that were given, and no others, and the arguments beside them
 */
export function tableCommand<Table extends Options>(
  name: string,
  table: Table,
  defaults: ValuesOf<Table>,
  action: (flags: ValuesOf<Table>, positional: string[]) => Promise<void>,
): Command {
  const command = new Command(name);
  // The help lists headings in the order of their first options: what is the command's own comes before what it shares.
  const options = Object.entries(table).sort(([, a], [, b]) => Number('group' in a) - Number('group' in b));
  for (const [key, option] of options) {
    const flag = `--${flagName(key)}${option.placeholder ? ` <${option.placeholder}>` : ''}`;
    const described = new CommanderOption(flag, describe(key, option, (defaults as Record<string, unknown>)[key]));
    command.addOption(option.group ? described.helpGroup(`${option.group}:`) : described);
    if (!option.placeholder) command.addOption(new CommanderOption(`--no-${flagName(key)}`).hideHelp());
  }
  // Commander sets a switch with a --no- form to true when neither is given; only what was typed counts here.
  return command.allowExcessArguments(false).action(async () => {
    const typed = Object.entries(command.opts()).filter(([key]) => command.getOptionValueSource(key) === 'cli');
    await action(parseFlags(table, Object.fromEntries(typed)), command.args);
  });
}

function describe(key: string, { description }: Option<unknown>, value: unknown): string {
  if (value === undefined || value === false) return description;
  return value === true
    ? `${description} (default; --no-${flagName(key)} turns it off)`
    : `${description} (default: ${value})`;
}
