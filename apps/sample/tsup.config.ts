import { application } from '../../tsup.base.js';

export default application({ entry: { cli: 'src/cli.ts', 'upload-worker': 'src/commands/serve/upload-worker.ts' } });
