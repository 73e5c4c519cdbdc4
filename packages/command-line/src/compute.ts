// What loads the backend: imported by what a command runs, not by what describes it.
export { startBackend } from './start-backend.js';
