/** HTML in which no value can become markup. */

/** A part of a page. Only {@link html} makes one of text. */
export class Html {
  constructor(readonly text: string) {}
}

/** `null` and `undefined` are left out. */
export type HtmlPart = Html | string | number | null | undefined | readonly Html[]

/** A template whose values are escaped, unless they are {@link Html} themselves. Its indentation is left out. */
export function html(strings: TemplateStringsArray, ...parts: readonly HtmlPart[]): Html {
  const [first = '', ...others] = strings.map((text) => text.replace(/\n\s*/g, '\n'))
  return new Html(others.reduce((all, next, at) => all + textOf(parts[at]) + next, first))
}

function textOf(part: HtmlPart): string {
  if (part === null || part === undefined) return ''
  if (part instanceof Html) return part.text
  if (typeof part === 'string' || typeof part === 'number') return escaped(String(part))
  return part.map(({ text }) => text).join('\n')
}

const references: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => references[character] ?? '')
}

/** A script or style element with exactly this text, which must not contain the end of the element. */
export function rawElement(name: 'script' | 'style', text: string): Html {
  return new Html(`<${name}>${text}</${name}>`)
}

/** A script element with data. A `<` would end it, or begin a comment in it. */
export function dataElement(id: string, value: unknown): Html {
  const json = JSON.stringify(value).replaceAll('<', '\\u003c')
  return new Html(`<script type="application/json" id="${escaped(id)}">${json}</script>`)
}
