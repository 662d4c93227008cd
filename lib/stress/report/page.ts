/** The frame of a report: one file that needs nothing from elsewhere. */
import * as assets from './assets'
import type { Chart, ChartFigure } from './charts'
import { dataElement, html, rawElement, type Html } from './html'
import { scrollable } from './table'

/** Forbids the page to load anything, or to run any script but its own. */
const POLICY = [
  "default-src 'none'",
  `script-src '${assets.scriptHash}'`,
  `style-src '${assets.stylesHash}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ')

/** A part of a page. Its title is also in the list of links. */
export interface Section {
  readonly id: string
  readonly title: string
  readonly content: Html
}

export interface Page {
  readonly title: string
  readonly heading: Html
  /** The text between the heading and the list of links. */
  readonly lead: Html
  readonly sections: readonly Section[]
  readonly charts: readonly Chart[]
  /** The data of the page as JSON. */
  readonly result: unknown
}

export function pageText({ title, heading, lead, sections, charts, result }: Page): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${POLICY}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="referrer" content="no-referrer" />
        <title>${title}</title>
        ${rawElement('style', assets.styles)}
      </head>
      <body>
        <header>
          <h1>${heading}</h1>
          ${lead}
          <nav aria-label="Sections">
            <ul>
              ${sections.map(({ id, title: name }) => html`<li><a href="#${id}-section">${name}</a></li>`)}
            </ul>
          </nav>
        </header>
        <main>
          ${sections.map(
            ({ id, title: name, content }) =>
              html`<section id="${id}-section" aria-labelledby="${id}-title">
                <h2 id="${id}-title">${name}</h2>
                ${content}
              </section>`,
          )}
        </main>
        <footer>
          <p>
            Made by socket-tuner. The result is in this file as JSON, in the element
            <code>#result</code>. The charts are drawn by uPlot, whose licence is in the source of
            this page.
          </p>
        </footer>
        ${dataElement('result', result)} ${dataElement('charts', charts)}
        ${rawElement('script', assets.script)}
      </body>
    </html>`.text
}

export function chartSection(figure: ChartFigure): Section {
  return { id: figure.chart.id, title: figure.chart.title, content: chartFigure(figure) }
}

/** A moment, in UTC: the page is read elsewhere. */
export function moment(iso: string): Html {
  const text = iso.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d).*$/, '$1 $2 UTC')
  return html`<time datetime="${iso}">${text}</time>`
}

/** The script of the page draws the chart in its first element, and shows it. */
function chartFigure({ chart, caption, table }: ChartFigure): Html {
  return html`<figure>
    <div class="chart" id="${chart.id}-chart" hidden></div>
    <figcaption>${caption}</figcaption>
    <details>
      <summary>Values of the chart</summary>
      ${scrollable(`Values: ${chart.title}`, table)}
    </details>
  </figure>`
}
