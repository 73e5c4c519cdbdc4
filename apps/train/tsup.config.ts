import { application } from '../../tsup.base.js';

export default application({ entry: ['src/cli.ts'] });
