/** Plain text for a terminal of 80 to 100 columns; no colours, no escape sequences. */

const WIDTH = 98
const GAP = '  '

/** A number as people read it: 28,232. */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** A figure that is not known here, or that nothing was measured for. */
export const NOT_KNOWN = 'n/a'

/** As {@link count}, for a figure that may not be known. */
export function countOrUnknown(value: number | null): string {
  return value === null ? NOT_KNOWN : count(value)
}

/** The number, followed by `one` or `many`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`
}

/** Pads the cells of rows to columns. @param sides `l` or `r` for each column */
export function align(rows: readonly (readonly string[])[], sides: string): string[] {
  const widths = Array.from(sides, (_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  )
  return rows.map((row) =>
    widths
      .map((width, column) => {
        const cell = row[column] ?? ''
        return sides[column] === 'r' ? cell.padStart(width) : cell.padEnd(width)
      })
      .join(GAP)
      .trimEnd(),
  )
}

/** Wraps a text. The first line begins with `label`, and the others are indented by its length. */
export function wrap(text: string, label: string, width = WIDTH): string[] {
  const indent = ' '.repeat(label.length)
  const lines: string[] = []
  let line = label
  let empty = true
  for (const word of text.split(' ')) {
    if (!empty && line.length + 1 + word.length > width) {
      lines.push(line)
      line = indent
      empty = true
    }
    line += empty ? word : ` ${word}`
    empty = false
  }
  lines.push(line)
  return lines
}
