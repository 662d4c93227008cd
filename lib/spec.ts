/**
 * Options bags: the objects of named options that functions take. One table defines each bag. Its type, its
 * check, its list of names and its section of docs/arguments.md derive from the table; no other code checks
 * options.
 */
import {
  ArgumentTypeError,
  ArgumentValueError,
  SocketTunerError,
  checkBoolean,
  checkWhole,
  isObject,
} from './errors'

/**
 * One option of a bag. Callers pass an `Input`. The check converts it to a `Value`, or to `Absent` when the
 * option is missing.
 */
export class Field<Input, Value = Input, Absent = undefined, Needed extends boolean = false> {
  /** For the type only; has no value. */
  declare readonly input: Input
  /** The accepted values in words: `true or false`, `0 to 65535`. */
  readonly takes: string
  readonly isNeeded: Needed
  /** The result of the check for a missing option. */
  readonly absent: Absent
  readonly #check: (argument: string, value: unknown) => Value

  constructor(
    takes: string,
    check: (argument: string, value: unknown) => Value,
    absent: Absent,
    isNeeded: Needed,
  ) {
    this.takes = takes
    this.#check = check
    this.absent = absent
    this.isNeeded = isNeeded
  }

  /**
   * @param argument the name of the value in messages
   * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE
   */
  check(argument: string, value: unknown): Value | Absent {
    return value === undefined && !this.isNeeded ? this.absent : this.#check(argument, value)
  }

  /** Returns this field with a default. */
  default(value: Value): Field<Input, Value, Value> {
    return new Field<Input, Value, Value>(this.takes, this.#check, value, false)
  }

  /** Returns this field as a required one. */
  required(): Field<Input, Value, never, true> {
    return new Field<Input, Value, never, true>(this.takes, this.#check, undefined as never, true)
  }

  /** Returns this field with null accepted as missing, as some options of Node and its clients do. */
  orNull(): Field<Input | null, Value | Absent, Absent> {
    const { absent } = this
    const check = this.#check
    return new Field<Input | null, Value | Absent, Absent>(
      this.takes,
      (argument, value) => (value === null ? absent : check(argument, value)),
      absent,
      false,
    )
  }
}

type AnyField = Field<unknown, unknown, unknown, boolean>
export type Fields = Readonly<Record<string, AnyField>>

type Inputs<F extends Fields> = {
  [K in keyof F as F[K]['isNeeded'] extends true ? never : K]?: F[K]['input'] | undefined
} & {
  [K in keyof F as F[K]['isNeeded'] extends true ? K : never]: F[K]['input']
}
type Flat<T> = { [K in keyof T]: T[K] }

/** The type of the bag as callers write it. Its members have the comments of the table. */
export type InputOf<S extends { readonly fields: Fields }> = Flat<Inputs<S['fields']>>

/** The type of the checked bag, in which every option is present. */
export type OutputOf<S extends { readonly fields: Fields }> = {
  readonly [K in keyof S['fields']]: ReturnType<S['fields'][K]['check']>
}

/** Names outside of the table. */
interface OtherNames {
  /** Names that Node or another package reads from the same bag; undefined if the bag is ours alone. */
  readonly others?: ReadonlySet<string>
  /** Names that callers may know from Node's functions, each with the reason why it is refused here. */
  readonly refused?: ReadonlyMap<string, string>
}

/** The definition of a bag. */
export class Spec<F extends Fields> {
  readonly fields: F
  /** In the order of the table. */
  readonly names: readonly (keyof F & string)[]
  readonly #otherNames: OtherNames

  constructor(fields: F, otherNames: OtherNames = {}) {
    this.fields = fields
    this.names = Object.freeze(Object.keys(fields))
    this.#otherNames = otherNames
  }

  /**
   * Checks a bag. Reads each option once.
   *
   * @param argument the name of the bag in messages; empty if it has none
   * @throws ERR_SOCKET_TUNER_UNKNOWN_OPTION for an unknown name; what the fields throw
   */
  check(argument: string, bag: unknown): OutputOf<this> {
    if (!isObject(bag)) throw new ArgumentTypeError(argument, 'of type object', bag)
    this.#checkNames(argument, bag)
    const checked: Record<string, unknown> = {}
    for (const name of this.names) {
      checked[name] = this.fields[name]?.check(pathOf(argument, name), bag[name])
    }
    return checked as OutputOf<this>
  }

  /** Checks the names only. */
  #checkNames(argument: string, bag: object): void {
    const { others, refused } = this.#otherNames
    for (const name of Object.keys(bag)) {
      if (Object.hasOwn(this.fields, name)) continue
      // A spread object may contain undefined for a missing option.
      const value = (bag as Readonly<Record<string, unknown>>)[name]
      if (value === undefined) continue
      const reason = refused?.get(name)
      if (reason !== undefined && value !== null && value !== false)
        throw new ArgumentValueError(pathOf(argument, name), reason, value)
      if (reason !== undefined || others?.has(name) === true) continue
      if (others === undefined) throw unknownName(argument, name, this.names)
      // A name close to one of `others` passes: packages hand on such names among themselves, and they work.
      if (misspelled(name, this.names) !== undefined) throw unknownName(argument, name, this.names)
    }
  }

  /** Returns the options of a bag that are not in the table. */
  rest(bag: object): Record<string, unknown> {
    const entries = Object.entries(bag).filter(([name]) => !Object.hasOwn(this.fields, name))
    return Object.fromEntries(entries)
  }
}

/**
 * Defines a bag with the options of the table and no others.
 *
 * @param refused names that callers may know from Node's functions, each with the reason why it is refused
 */
export function spec<const F extends Fields>(
  fields: F,
  refused: Readonly<Record<string, string>> = {},
): Spec<F> {
  return new Spec(fields, { refused: new Map(Object.entries(refused)) })
}

/**
 * Defines a bag that Node or another package reads as well. An unknown name is refused only if it is close to
 * one of the table: it may be a new option of the other reader.
 *
 * @param others the known names of the other reader
 */
export function sharedSpec<const F extends Fields>(
  fields: F,
  others: readonly string[],
  refused: Readonly<Record<string, string>> = {},
): Spec<F> {
  return new Spec(fields, { others: new Set(others), refused: new Map(Object.entries(refused)) })
}

/**
 * Returns the error for an unknown name.
 *
 * @param argument the name of the bag in messages; empty if it has none
 */
function unknownName(argument: string, name: string, names: readonly string[]): SocketTunerError {
  const path = pathOf(argument, name)
  const shown = path.length > 64 ? `${path.slice(0, 64)}...` : path
  const meant = nearest(name, names)
  const hint =
    meant === undefined ? `the options are ${names.join(', ')}` : `did you mean '${meant}'?`
  return new SocketTunerError(`'${shown}' is not an option: ${hint}`, {
    code: 'ERR_SOCKET_TUNER_UNKNOWN_OPTION',
    option: name,
  })
}

/**
 * Uint8Array under another name, for tables. In inferred declarations TypeScript writes Uint8Array with a type
 * argument, which compilers before 5.7 do not accept.
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- its name is its purpose
export interface Bytes extends Uint8Array {}

/** An option with a check of its own, which returns the checked value. */
export function custom<Input, Value = Input>(
  takes: string,
  check: (argument: string, value: unknown) => Value,
): Field<Input, Value> {
  return new Field<Input, Value>(takes, check, undefined, false)
}

export function boolean(): Field<boolean> {
  return custom('true or false', (argument, value) => {
    checkBoolean(argument, value)
    return value
  })
}

/** A whole number from `min` to `max`. */
export function whole(min: number, max: number): Field<number> {
  return custom(rangeOf(min, max), (argument, value) => {
    checkWhole(argument, value, min, max)
    return value
  })
}

export function text(): Field<string> {
  return custom('a string', (argument, value) => {
    if (typeof value !== 'string') throw new ArgumentTypeError(argument, 'of type string', value)
    return value
  })
}

/** The largest 32-bit integer: the longest delay of a timer, ms, and the largest descriptor. */
export const MAX_INT32 = 2 ** 31 - 1

/** One of the names. */
export function oneOf<const T extends string>(...names: readonly T[]): Field<T> {
  const list = `'${names.join("', '")}'`
  return custom(list.replaceAll("', '", "' or '"), (argument, value) => {
    if (names.includes(value as T)) return value as T
    throw new ArgumentValueError(argument, `must be one of: ${list}`, value)
  })
}

/** @param what the expected value in messages: `an instance of AbortSignal` */
export function instance<T>(what: string, is: (value: unknown) => value is T): Field<T> {
  return custom(what, (argument, value) => {
    if (!is(value)) throw new ArgumentTypeError(argument, what, value)
    return value
  })
}

export const abortSignal = instance(
  'an instance of AbortSignal',
  (value): value is AbortSignal => value instanceof AbortSignal,
)

export function fn<T extends (...args: never[]) => unknown>(): Field<T> {
  return custom('a function', (argument, value) => {
    if (typeof value !== 'function')
      throw new ArgumentTypeError(argument, 'of type function', value)
    return value as T
  })
}

/** An array whose elements are all checked by one field. */
export function list<Input, Value>(
  element: Field<Input, Value>,
  { min = 0, max = Infinity }: { readonly min?: number; readonly max?: number } = {},
): Field<readonly Input[], readonly Value[]> {
  const count = max === Infinity ? `at least ${String(min)}` : rangeOf(min, max)
  const one = element.required()
  return custom(`an array; each element: ${element.takes}`, (argument, value) => {
    if (!Array.isArray(value)) throw new ArgumentTypeError(argument, 'an array', value)
    if (value.length < min || value.length > max)
      throw new ArgumentValueError(argument, `must have ${count} elements`, value)
    return Array.from(value, (each: unknown, index) =>
      one.check(`${argument}[${String(index)}]`, each),
    )
  })
}

/** A bag inside of another bag. */
export function bag<F extends Fields>(inner: Spec<F>): Field<InputOf<Spec<F>>, OutputOf<Spec<F>>> {
  return custom(`an object: ${inner.names.join(', ')}`, (argument, value) =>
    inner.check(argument, value),
  )
}

function pathOf(argument: string, name: string): string {
  return argument === '' ? name : `${argument}.${name}`
}

function rangeOf(min: number, max: number): string {
  return `${String(min)} to ${max === Number.MAX_SAFE_INTEGER ? '2^53 - 1' : String(max)}`
}

/** More edits than this make another word. */
const MOST_CHANGES = 3
/** Longer than every name. */
const LONGEST = 64

/** Returns the name with the smallest edit distance; undefined if none is close. */
export function nearest(wrong: string, names: readonly string[]): string | undefined {
  return closest(wrong, names, Math.min(MOST_CHANGES, Math.ceil(wrong.length / 2)))
}

/** As {@link nearest}, but stricter: for a name that may be correct for another reader of the bag. */
function misspelled(name: string, names: readonly string[]): string | undefined {
  return name.length < 4 ? undefined : closest(name, names, name.length < 8 ? 1 : 2)
}

function closest(wrong: string, names: readonly string[], most: number): string | undefined {
  if (wrong.length > LONGEST) return undefined
  const near = names
    .map((name) => ({ name, changes: changesBetween(wrong.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, changes }) => changes <= most && changes < name.length)
    .toSorted((a, b) => a.changes - b.changes)
  return near[0]?.name
}

/** The edit distance: insertions, deletions, substitutions and swaps of neighbours (Damerau-Levenshtein). */
function changesBetween(from: string, to: string): number {
  let before: number[] = []
  let last = Array.from({ length: to.length + 1 }, (_, at) => at)
  for (let i = 1; i <= from.length; i++) {
    const row = [i]
    for (let j = 1; j <= to.length; j++) {
      const replaced = (last[j - 1] ?? 0) + Number(from[i - 1] !== to[j - 1])
      let least = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, replaced)
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1])
        least = Math.min(least, (before[j - 2] ?? 0) + 1)
      row.push(least)
    }
    before = last
    last = row
  }
  return last[to.length] ?? from.length
}
