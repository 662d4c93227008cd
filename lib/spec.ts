/**
 * Options bags. One table says what a bag takes; its type, its check, its names and the reference page
 * come from that table, and no other code checks options.
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
 * One option of a bag: callers may give an `Input`, of which the check makes a `Value`, or `Absent` where it
 * is left out.
 */
export class Field<Input, Value = Input, Absent = undefined, Needed extends boolean = false> {
  /** Carries the type and is never there. */
  declare readonly input: Input
  /** What it takes, in words: `true or false`, `0 to 65535`. */
  readonly takes: string
  readonly isNeeded: Needed
  /** What the check gives where the option is left out. */
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
   * @param argument what messages call the value
   * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE
   */
  check(argument: string, value: unknown): Value | Absent {
    return value === undefined && !this.isNeeded ? this.absent : this.#check(argument, value)
  }

  /** The same with a value for where it is left out. */
  default(value: Value): Field<Input, Value, Value> {
    return new Field<Input, Value, Value>(this.takes, this.#check, value, false)
  }

  /** The same, and it must be given. */
  required(): Field<Input, Value, never, true> {
    return new Field<Input, Value, never, true>(this.takes, this.#check, undefined as never, true)
  }

  /** The same, with null for what is left out, as Node and its clients have it in places. */
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

/** Of whatever types. */
type AnyField = Field<unknown, unknown, unknown, boolean>
export type Fields = Readonly<Record<string, AnyField>>

type Inputs<F extends Fields> = {
  [K in keyof F as F[K]['isNeeded'] extends true ? never : K]?: F[K]['input'] | undefined
} & {
  [K in keyof F as F[K]['isNeeded'] extends true ? K : never]: F[K]['input']
}
type Flat<T> = { [K in keyof T]: T[K] }

/** What callers may give. The comments in the table are those of its members. */
export type InputOf<S extends { readonly fields: Fields }> = Flat<Inputs<S['fields']>>

/** What the check makes of it: every option is there. */
export type OutputOf<S extends { readonly fields: Fields }> = {
  readonly [K in keyof S['fields']]: ReturnType<S['fields'][K]['check']>
}

/** What of a bag is not in its table. */
interface Rest {
  /** Names that somebody else takes; undefined where there is nobody. */
  readonly others?: ReadonlySet<string>
  /** Names that callers know from elsewhere, and why they cannot be given here. */
  readonly refused?: ReadonlyMap<string, string>
}

/** A whole bag. */
export class Spec<F extends Fields> {
  readonly fields: F
  /** In the order of the table. */
  readonly names: readonly (keyof F & string)[]
  readonly #rest: Rest

  constructor(fields: F, rest: Rest = {}) {
    this.fields = fields
    this.names = Object.freeze(Object.keys(fields))
    this.#rest = rest
  }

  /**
   * Reads each option once.
   *
   * @param argument what messages call the bag; empty for what has no name
   * @throws ERR_SOCKET_TUNER_UNKNOWN_OPTION for a name that is not in the table; what the fields throw
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

  /** Only that each name is one of the table, or of those that somebody else takes. */
  #checkNames(argument: string, bag: object): void {
    const { others, refused } = this.#rest
    for (const name of Object.keys(bag)) {
      if (Object.hasOwn(this.fields, name)) continue
      // A spread object may have what was left out.
      const value = (bag as Readonly<Record<string, unknown>>)[name]
      if (value === undefined) continue
      const reason = refused?.get(name)
      if (reason !== undefined && value !== null && value !== false)
        throw new ArgumentValueError(pathOf(argument, name), reason, value)
      if (reason !== undefined || others?.has(name) === true) continue
      if (others === undefined) throw unknownName(argument, name, this.names)
      // Not what is nearly one of theirs: packages hand on misspellings of their own, and they work.
      if (misspelled(name, this.names) !== undefined) throw unknownName(argument, name, this.names)
    }
  }

  /** What of the bag the table does not have. */
  rest(bag: object): Record<string, unknown> {
    const entries = Object.entries(bag).filter(([name]) => !Object.hasOwn(this.fields, name))
    return Object.fromEntries(entries)
  }
}

/**
 * A bag that takes what is in the table and nothing else.
 *
 * @param refused names that callers know from elsewhere, and why they cannot be given here
 */
export function spec<const F extends Fields>(
  fields: F,
  refused: Readonly<Record<string, string>> = {},
): Spec<F> {
  return new Spec(fields, { refused: new Map(Object.entries(refused)) })
}

/**
 * A bag that Node or another package reads as well. A name that nobody is known to take is refused only
 * where it is nearly one of the table: it may be new there.
 *
 * @param others the names that are known to be taken there
 */
export function sharedSpec<const F extends Fields>(
  fields: F,
  others: readonly string[],
  refused: Readonly<Record<string, string>> = {},
): Spec<F> {
  return new Spec(fields, { others: new Set(others), refused: new Map(Object.entries(refused)) })
}

/**
 * The error for a name that is none.
 *
 * @param argument what messages call the bag; empty for what has no name
 */
function unknownName(argument: string, name: string, names: readonly string[]): SocketTunerError {
  const path = pathOf(argument, name)
  const shown = path.length > 64 ? `${path.slice(0, 64)}...` : path
  const meant = nearest(name, names)
  const hint = meant === undefined ? `there are ${names.join(', ')}` : `did you mean '${meant}'?`
  return new SocketTunerError(`'${shown}' is no option: ${hint}`, {
    code: 'ERR_SOCKET_TUNER_UNKNOWN_OPTION',
    option: name,
  })
}

/**
 * Uint8Array by a name of its own, for tables: TypeScript spells it with a type argument in the declarations
 * that it infers, which compilers before 5.7 do not know.
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- it is to have a name
export interface Bytes extends Uint8Array {}

/** An option of another form: what `check` returns is the checked value. */
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

/** One of some names. */
export function oneOf<const T extends string>(...names: readonly T[]): Field<T> {
  const list = `'${names.join("', '")}'`
  return custom(list.replaceAll("', '", "' or '"), (argument, value) => {
    if (names.includes(value as T)) return value as T
    throw new ArgumentValueError(argument, `must be one of: ${list}`, value)
  })
}

/** @param what as messages call it: `an instance of AbortSignal` */
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

/** An array, each of whose elements one field checks. */
export function list<Input, Value>(
  element: Field<Input, Value>,
  { min = 0, max = Infinity }: { readonly min?: number; readonly max?: number } = {},
): Field<readonly Input[], readonly Value[]> {
  const count = max === Infinity ? `at least ${String(min)}` : rangeOf(min, max)
  const one = element.required()
  return custom(`an array of: ${element.takes}`, (argument, value) => {
    if (!Array.isArray(value)) throw new ArgumentTypeError(argument, 'an array', value)
    if (value.length < min || value.length > max)
      throw new ArgumentValueError(argument, `must have ${count} elements`, value)
    return Array.from(value, (each: unknown, index) =>
      one.check(`${argument}[${String(index)}]`, each),
    )
  })
}

/** A bag in a bag. */
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

/** More changes than this make it another word. */
const MOST_CHANGES = 3
/** No name is so long. */
const LONGEST = 64

/** The one of `names` that is the fewest changes of a letter away; undefined where none is near. */
export function nearest(wrong: string, names: readonly string[]): string | undefined {
  return closest(wrong, names, Math.min(MOST_CHANGES, Math.ceil(wrong.length / 2)))
}

/** The same where the name may be right: so near that it can hardly be meant otherwise. */
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

/** Letters to be put in, taken out or replaced, or neighbours to be swapped, one at a time. */
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
