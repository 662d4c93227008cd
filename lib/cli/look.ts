/** The capabilities of a terminal, and text that fits it. */
import { styleText } from 'node:util'

export interface Look {
  /** Columns: longer lines are truncated. */
  readonly width: number
  readonly colour: boolean
  /** The terminal shows characters beyond ASCII. */
  readonly unicode: boolean
}

/** Columns of a terminal that reports none. */
const WIDTH = 120

/** The capabilities of the terminal. */
export function lookOf(output: NodeJS.WriteStream, environment: NodeJS.ProcessEnv): Look {
  const { LC_ALL = '', LC_CTYPE = '', LANG = '' } = environment
  const isTerminal = output.isTTY
  return {
    width: isTerminal ? output.columns || WIDTH : Infinity,
    colour: isTerminal && output.hasColors(withoutEmptyNoColor(environment)),
    // An empty variable counts as unset (locale(7)).
    unicode: /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG),
  }
}

/** Node 20 takes an empty NO_COLOR for a set one, which https://no-color.org does not. */
function withoutEmptyNoColor(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { NO_COLOR, ...others } = environment
  return NO_COLOR === '' ? others : environment
}

export type TextFormat = 'bold' | 'red' | 'yellow' | 'cyan'

/** Colours a line that is cut already. */
export function paint(line: string, format: TextFormat, { colour }: Look): string {
  // Not for a stream: lookOf() has decided already.
  return colour ? styleText(format, line, { validateStream: false }) : line
}

/** A wrapped line would displace the others. */
export function cut(line: string, { width }: Look): string {
  return line.slice(0, width).trimEnd()
}

const BLOCKS = '▁▂▃▄▅▆▇█'
const MARKS = '.:-=+*%#'

/** A chart of one line, with a character for each of the last shares from 0 to 1. */
export function sparkline(shares: readonly number[], most: number, { unicode }: Look): string {
  const marks = unicode ? BLOCKS : MARKS
  // slice(-0) would take all.
  return shares
    .slice(Math.max(0, shares.length - most))
    .map((share) => marks[Math.min(marks.length - 1, Math.floor(share * marks.length))])
    .join('')
}
