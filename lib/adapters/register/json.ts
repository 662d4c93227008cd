/** JSON (RFC 8259) that knows where each of its values stands, so that an error can say it. */

/** Counted from 1. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** A text that is not JSON; or JSON in which the same name stands twice in an object. */
export class JsonError extends Error {
  readonly position: Position

  constructor(message: string, position: Position) {
    super(message)
    this.position = position
  }
}

const DEEPEST = 32
const SPACE = /[ \t\n\r]*/y
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.+-])/y
const WORD = /(?:true|false|null)(?![\w.+-])/y

/** A document that was read. */
export class Json {
  readonly value: unknown
  readonly #text: string
  #offset = 0
  /** Of each value and of the name before it, by path. */
  readonly #values = new Map<string, number>()
  readonly #names = new Map<string, number>()

  /** @throws JsonError */
  constructor(text: string) {
    this.#text = text
    this.value = this.#value('', 0)
    this.#space()
    if (this.#offset < text.length) throw this.#error('the end of the text was expected here')
  }

  /** Where the value of a path such as `clients.sources[1]` begins. */
  positionOf(path: string): Position {
    return this.#position(this.#values.get(path) ?? 0)
  }

  /** Where its name begins. */
  positionOfName(path: string): Position {
    return this.#position(this.#names.get(path) ?? 0)
  }

  #value(path: string, depth: number): unknown {
    this.#space()
    if (depth > DEEPEST) throw this.#error(`this is nested deeper than ${String(DEEPEST)} levels`)
    this.#values.set(path, this.#offset)
    switch (this.#text[this.#offset]) {
      case '{':
        return this.#object(path, depth)
      case '[':
        return this.#array(path, depth)
      case '"':
        return this.#string()
      default: {
        const token = this.#token(NUMBER) ?? this.#token(WORD)
        if (token === undefined) throw this.#error('a value was expected here')
        return JSON.parse(token)
      }
    }
  }

  #object(path: string, depth: number): Record<string, unknown> {
    const entries = new Map<string, unknown>()
    this.#list('}', () => {
      const start = this.#offset
      if (this.#text[start] !== '"') throw this.#error('a name in double quotes was expected here')
      const name = this.#string()
      const inner = path === '' ? name : `${path}.${name}`
      if (entries.has(name)) throw this.#error(`'${name}' stands here a second time`, start)
      this.#names.set(inner, start)
      this.#space()
      if (!this.#take(':')) throw this.#error("':' was expected here")
      entries.set(name, this.#value(inner, depth + 1))
    })
    return Object.fromEntries(entries)
  }

  #array(path: string, depth: number): unknown[] {
    const elements: unknown[] = []
    this.#list(']', () => {
      elements.push(this.#value(`${path}[${String(elements.length)}]`, depth + 1))
    })
    return elements
  }

  /** What stands between brackets, with commas in between. */
  #list(end: string, element: () => void): void {
    this.#offset++
    this.#space()
    if (this.#take(end)) return
    do {
      this.#space()
      element()
      this.#space()
    } while (this.#take(','))
    if (!this.#take(end)) throw this.#error(`',' or '${end}' was expected here`)
  }

  #string(): string {
    const token = this.#token(STRING)
    if (token === undefined)
      throw this.#error('this string does not end, or has in it what must be escaped')
    return JSON.parse(token) as string
  }

  #space(): void {
    this.#token(SPACE)
  }

  #take(character: string): boolean {
    if (this.#text[this.#offset] !== character) return false
    this.#offset++
    return true
  }

  #token(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#offset
    const token = pattern.exec(this.#text)?.[0]
    this.#offset += token?.length ?? 0
    return token
  }

  #error(what: string, offset = this.#offset): JsonError {
    const message = offset >= this.#text.length ? `the text ends too early: ${what}` : what
    return new JsonError(message, this.#position(offset))
  }

  #position(offset: number): Position {
    const before = this.#text.slice(0, offset)
    const lineStart = before.lastIndexOf('\n') + 1
    return { line: before.split('\n').length, column: offset - lineStart + 1 }
  }
}
