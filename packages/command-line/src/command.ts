import { Command, Option as CommanderOption } from 'commander';
import { flagName, type Options, type ValuesOf } from './options.js';
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
  for (const [key, option] of Object.entries(table)) {
    const known = (defaults as Record<string, unknown>)[key];
    const description =
      known === undefined || known === false ? option.description : `${option.description} (default: ${known})`;
    const flag = `--${flagName(key)}`;
    if (option.placeholder) command.addOption(new CommanderOption(`${flag} <${option.placeholder}>`, description));
    else {
      command.addOption(new CommanderOption(flag, description));
      command.addOption(new CommanderOption(`--no-${flagName(key)}`).hideHelp());
    }
  }
  // Commander sets a switch with a --no- form to true when neither is given; only what was typed counts here.
  return command.allowExcessArguments(false).action(async () => {
    const typed = Object.entries(command.opts()).filter(([key]) => command.getOptionValueSource(key) === 'cli');
    await action(parseFlags(table, Object.fromEntries(typed)), command.args);
  });
}
