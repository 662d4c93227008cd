/** The tables of a report. */
import type { StressError } from '../result'
import { figure, units, type ShownUnit } from './figure-text'
import { html, type Html, type HtmlPart } from './html'

/** A table whose columns have heads. @param kind its class in the style sheet */
export function table(
  caption: string,
  heads: readonly string[],
  rows: readonly Html[],
  kind = 'figures',
): Html {
  return html`<table class="${kind}">
    <caption>
      ${caption}
    </caption>
    <thead>
      <tr>
        ${heads.map((head) => html`<th scope="col">${head}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${rows}
    </tbody>
  </table>`
}

/** A row: a head, and cells that are `td` elements. */
export function row(head: HtmlPart, cells: readonly Html[]): Html {
  return html`<tr>
    <th scope="row">${head}</th>
    ${cells}
  </tr>`
}

export function figureCell(value: number | null, unit: ShownUnit): Html {
  return html`<td>${figure(value, unit)}</td>`
}

/** The caption of a table whose figures all have this unit. */
export function captionOf(title: string, unit: ShownUnit): string {
  return units[unit] === '' ? title : `${title}, ${units[unit]}`
}

/** Something wide. It scrolls by itself, also with the keyboard. */
export function scrollable(label: string, content: Html): Html {
  return html`<div class="scroll" role="region" aria-label="${label}" tabindex="0">${content}</div>`
}

/** The heads of {@link errorCells}. */
export const errorHeads = ['phase', 'count', 'first message'] as const

export function errorCells({ phase, count, message }: StressError): Html[] {
  return [
    html`<td class="word">${phase}</td>`,
    figureCell(count, 'count'),
    html`<td class="message">${message}</td>`,
  ]
}
