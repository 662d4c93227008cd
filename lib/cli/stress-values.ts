/** Parsers of the values of the flags of `socket-tuner stress`. They throw ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE. */
import { readFileSync } from 'node:fs'
import { ArgumentTypeError, ArgumentValueError } from '../errors'

/** The parser of a flag that is given once. */
export const first =
  (parse: (argument: string, text: string) => unknown) =>
  (argument: string, [text = '']: readonly string[]): unknown =>
    parse(argument, text)

export const asText = first((_argument, text) => text)
export const whole = first((argument, text) => {
  if (!/^-?\d+$/.test(text)) throw new ArgumentTypeError(argument, 'a whole number', text)
  return Number(text)
})

const milliseconds: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/** `500ms`, `10s`, `2m`, `1h`; seconds without a unit. */
export const time = first((argument, text) => {
  const [, digits, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? []
  if (digits === undefined)
    throw new ArgumentValueError(argument, 'must be a time such as 500ms, 10s or 2m', text)
  return Math.round(Number(digits) * (milliseconds[unit] ?? 0))
})

export const rate = first((argument, text) => {
  const [, digits] = /^(\d+(?:\.\d+)?)(?:\/s)?$/.exec(text) ?? []
  if (digits === undefined)
    throw new ArgumentValueError(argument, 'must be a rate such as 500 or 500/s', text)
  return Number(digits)
})

export function headers(argument: string, texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const [, name, value] = /^([^:\s]+):\s*(.*)$/.exec(text) ?? []
      if (name === undefined || value === undefined)
        throw new ArgumentValueError(argument, "must be 'Name: value'", text)
      return [name, value]
    }),
  )
}

/** `TCP_NODELAY=true`, `SO_RCVBUF=65536`, `SO_LINGER={"enabled":false,"seconds":0}`. */
export function settings(argument: string, texts: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    texts.map((text) => {
      const [, name, value] = /^(\w+)=(.*)$/.exec(text) ?? []
      if (name === undefined || value === undefined)
        throw new ArgumentValueError(argument, 'must be OPTION=VALUE', text)
      return [name, jsonOr(value)]
    }),
  )
}

function jsonOr(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** @throws Error that names the argument, with the code of readFileSync() */
export function fileOfFlag(argument: string, file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException
    throw Object.assign(new Error(`${argument} cannot be read: ${message}`), { code })
  }
}

/** The content of a JSON file. @throws as {@link fileOfFlag}, too */
export function jsonIn(argument: string, file: string): unknown {
  const content = fileOfFlag(argument, file).toString()
  try {
    return JSON.parse(content) as unknown
  } catch {
    // The message of JSON.parse() has a part of the file, which may be a key.
    const reason = content === '' ? 'must be JSON, but is empty' : 'must be JSON'
    throw new ArgumentValueError(argument, reason, file)
  }
}

/** A number of bytes, or the bytes. */
export const expected = first((_argument, text) =>
  /^\d+$/.test(text) ? Number(text) : unescaped(text),
)

/** `\r`, `\n`, `\t`, `\0`, `\xHH` and `\\`: a shell passes none of them as it is. */
export function unescaped(text: string): string | Uint8Array {
  const escapes: Readonly<Record<string, string>> = {
    r: '\r',
    n: '\n',
    t: '\t',
    '0': '\0',
    '\\': '\\',
  }
  if (!text.includes('\\')) return text
  const parts = text.split(/(\\x[0-9a-f]{2}|\\[rnt0\\])/i).map((part) => {
    if (/^\\x/i.test(part)) return Buffer.from(part.slice(2), 'hex')
    return Buffer.from((/^\\.$/.test(part) ? escapes[part.slice(1)] : undefined) ?? part)
  })
  return Buffer.concat(parts)
}
