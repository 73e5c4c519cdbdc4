import { declarations, library } from '../../tsup.base.js';

// The command line has no declarations: it is not imported, and it bundles a private package.
export default library({ entry: ['src/index.ts', 'src/cli.ts'], dts: { ...declarations, entry: 'src/index.ts' } });
