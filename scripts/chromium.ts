import { existsSync } from 'node:fs';

const executables = [
  process.env.TB_CHROMIUM ?? '',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** The program of Chromium or Chrome on this machine, if there is one; `TB_CHROMIUM` names another. */
export const chromiumPath = () => executables.find((path) => path !== '' && existsSync(path));
