import { render } from 'preact';
import type { PageClient } from '../../src/page/messages.js';
import { App, type Site } from './app.js';
import './styles/base.css';
import './styles/controls.css';
import './styles/images.css';
import './styles/views.css';

/** Draws the page. @param site - what only the static site shows */
export function show(client: PageClient, site?: Site): void {
  render(<App client={client} site={site} />, document.getElementById('page')!);
}
