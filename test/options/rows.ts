/** The rows of the catalogue for generated tests. */
import { readFileSync } from 'node:fs'
import { getOption, type OptionName, type ReadableOption } from '../../lib'
import { native } from '../../lib/kernel/binding'
import { catalogue } from '../../lib/options/catalogue'
import type { Codec } from '../../lib/options/codec'
import { kinds } from '../../lib/options/kinds'
import type { OptionRow } from '../../lib/options/row'
import { isPrivileged, type Family } from '../sockets'

export type Row = OptionRow & { readonly name: OptionName }

export const rows: readonly Row[] = Object.entries<OptionRow>(catalogue).map(([name, row]) => ({
  ...row,
  name: name as OptionName,
}))

/** Rows that only macOS has begin with its name. */
export function isMacOnly({ summary }: Row): boolean {
  return summary.startsWith('macOS:')
}

export function isPresent({ name }: Row): boolean {
  return native.constants[name] !== undefined
}

/** Calls getOption() with a name that is only known at run time. */
export function read(fd: number, name: string): unknown {
  return getOption(fd, name as ReadableOption)
}

/** The family whose sockets have the option. */
export function familyOf({ level }: Row): Family {
  return level === 'IPPROTO_IPV6' ? 6 : 4
}

/** Returns why the row cannot be tested on `fd`, or undefined. */
export function reasonToSkip(row: Row, fd: number): string | undefined {
  if (!isPresent(row)) return `${process.platform} has no such option`
  if (row.roundTrip !== undefined) return row.roundTrip
  if (row.only !== undefined) return `only ${row.only} sockets have it`
  if (row.privilege !== undefined && !isPrivileged) return `needs ${row.privilege}`
  if (isUnsupported(row, fd)) return 'unsupported by this kernel'
  return undefined
}

export function isUnsupported({ name, access }: Row, fd: number): boolean {
  if (access !== 'r' && access !== 'rw') return false
  try {
    read(fd, name)
    return false
  } catch (error) {
    return (error as { code?: unknown }).code === 'ERR_SOCKET_TUNER_UNSUPPORTED'
  }
}

/** Returns a permitted value other than `initial`, or undefined if there is none. */
export function anotherValue(row: Row, initial: unknown): unknown {
  return candidates(row, initial).find((value) => !sameValue(readsAs(row, value), initial))
}

function candidates({ name, kind, range, also, example }: Row, initial: unknown): unknown[] {
  const first = example === undefined ? [] : [valueOf(kind, example)]
  if (kind === 'bool') return [...first, !(initial as boolean)]
  // If the example is the default, another algorithm that any user may choose.
  if (name === 'TCP_CONGESTION') return [...first, ...allowedCongestionControl()]
  if (range === undefined) return first
  const [min, max] = range
  return [...first, min + Math.floor((max - min) / 2), max, min, ...(also ?? [])]
}

/** The value that the example of a row, which is JSON, stands for. */
function valueOf(kind: Row['kind'], example: unknown): unknown {
  if (kind === 'bytes') return Uint8Array.from(example as number[])
  return (kinds[kind] as Codec).fromJson?.(example) ?? example
}

function allowedCongestionControl(): string[] {
  const path = '/proc/sys/net/ipv4/tcp_allowed_congestion_control'
  return readFileSync(path, 'utf8').trim().split(' ')
}

/** Returns the value that is read after `value` is set. */
export function readsAs({ doubled }: Row, value: unknown): unknown {
  return doubled === true ? 2 * (value as number) : value
}

function sameValue(a: unknown, b: unknown): boolean {
  return typeof a === 'bigint' || typeof b === 'bigint'
    ? a === b
    : JSON.stringify(plain(a)) === JSON.stringify(plain(b))
}

function plain(value: unknown): unknown {
  return value instanceof Uint8Array ? [...value] : value
}
