/** Plain text for a terminal of 80 to 100 columns; no colours, no escape sequences. */

const WIDTH = 98
const GAP = '  '

/** A number as people read it: 28,232. */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** `one` or `many` behind the number. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`
}

/** Rows with their cells padded to columns; `sides` has `l` or `r` for each column. */
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

/** Lines of a text; the first begins with `label`, the others are indented as far. */
export function wrap(text: string, label: string): string[] {
  const indent = ' '.repeat(label.length)
  const lines: string[] = []
  let line = label
  let empty = true
  for (const word of text.split(' ')) {
    if (!empty && line.length + 1 + word.length > WIDTH) {
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
