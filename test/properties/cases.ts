/** The number of cases of each property, and the sockets and values that they use. */
import fc from 'fast-check'
import { native } from '../../lib/kernel/binding'
import { size } from '../helpers/size'
import type { Row } from '../options/rows'
import { rows } from '../options/rows'
import { boundSocket, listeningSocket, tcpSocket, udpSocket, unixSocket } from '../sockets'

// Many fast cases take long.
jest.setTimeout(600_000)

/** Returns a share of the 100,000 cases that all properties have together at full size. */
export function cases(share: number): number {
  return Math.ceil((share * size('PROPERTY_PERCENT')) / 100)
}

/** Sockets of every kind and state that need no peer. */
export const victims = {
  'fresh IPv4': () => tcpSocket(4),
  'fresh IPv6': () => tcpSocket(6),
  bound: () => boundSocket(),
  listening: () => listeningSocket(6),
  UDP: () => udpSocket(),
  unix: () => unixSocket(),
} as const

export const victimKind = fc.constantFrom(...(Object.keys(victims) as (keyof typeof victims)[]))

/** Any JavaScript value. */
export const anything = fc.oneof(
  fc.anything({
    withBigInt: true,
    withBoxedValues: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withNullPrototype: true,
    withTypedArray: true,
    withSparseArray: true,
  }),
  fc.constantFrom(undefined, null, NaN, -0, Infinity, -Infinity, 2 ** 31, 2 ** 32, 2 ** 53, -1),
  fc.constantFrom<unknown>(Symbol('value'), () => 1, Object, new Proxy({}, {}), new Proxy([], {})),
  fc.integer(),
  fc.double(),
  fc.maxSafeInteger(),
  fc.bigInt(),
  fc.string({ unit: 'binary' }),
)

/** A descriptor that is not open, or a value that is not a descriptor. */
export const noDescriptor = fc.oneof(
  fc.integer({ min: 1_000_000, max: 2 ** 31 - 1 }),
  fc.integer({ max: -1 }),
  fc.maxSafeInteger().filter((n) => n < 0 || n >= 1_000_000),
  fc.double().filter((n) => !Number.isInteger(n)),
  fc.constantFrom(2 ** 31, 2 ** 32, 2 ** 32 + 3, -(2 ** 32) + 3, 2 ** 53, Number.MAX_VALUE),
)

/** Values that pass the validation of the row. The kernel may refuse them. */
export function validValue(row: Row): fc.Arbitrary<unknown> {
  const [min, max] = row.range ?? [0, 2 ** 31 - 1]
  const [shortest, longest] = row.length ?? [0, 16]
  const number = fc.oneof(
    fc.integer({ min, max }),
    fc.integer({ min, max: Math.min(max, min + 100) }),
    fc.constantFrom(min, max, ...(row.also ?? [])),
  )
  const bytes = fc.uint8Array({ minLength: shortest, maxLength: longest })
  switch (row.kind) {
    case 'bool':
      return fc.boolean()
    case 'int':
    case 'u32':
    case 'timeval':
    case 'interfaceIndex':
      return number
    case 'u64':
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
    case 'string':
      return fc.oneof(
        fc.constantFrom('lo', 'reno', 'cubic', 'tls'),
        fc.stringMatching(/^[a-z]{1,15}$/),
      )
    case 'bytes':
      return bytes
    case 'linger':
      return fc.record({
        enabled: fc.boolean(),
        seconds: fc.nat({ max: 65_535 }),
        blocking: fc.constant(true),
      })
    case 'portRange':
      return fc
        .tuple(fc.nat({ max: 65_535 }), fc.nat({ max: 65_535 }))
        .map(([a, b]) => ({ min: Math.min(a, b), max: Math.max(a, b) }))
    case 'transmitTime':
      return fc.record({ clockId: fc.nat({ max: 11 }), flags: fc.nat({ max: 7 }) })
    case 'md5Key':
      return fc.record({
        address: fc.oneof(fc.ipV4(), fc.ipV6()).filter((text) => !text.includes('%')),
        key: fc.uint8Array({ maxLength: 80 }),
      })
    case 'filter':
      return fc.array(
        fc.record({
          code: fc.oneof(fc.constant(6), fc.nat({ max: 0xffff })),
          jt: fc.nat({ max: 255 }),
          jf: fc.nat({ max: 255 }),
          k: fc.nat({ max: 0xffff_ffff }),
        }),
        { minLength: 1, maxLength: 16 },
      )
    default:
      return anything
  }
}

/** Options that change when they are read, or by themselves. */
const restless = new Set([
  'SO_MEMINFO',
  'SO_ERROR',
  'TCP_TIMESTAMP',
  'TCP_SAVED_SYN',
  'SO_INCOMING_CPU',
])

const readable = rows.filter(
  ({ name, access }) =>
    (access === 'r' || access === 'rw') &&
    native.constants[name] !== undefined &&
    !restless.has(name),
)
const buffer = new Uint8Array(64)

/** Returns the values of all options of a socket in a compact form. */
export function snapshot(fd: number, of: readonly Row[] = readable): string[] {
  return of.map(({ name, level }) => {
    const length = native.getBytes(
      fd,
      native.constants[level] ?? 0,
      native.constants[name] ?? 0,
      buffer,
    )
    // The seconds of a disabled linger mean nothing, and the kernel keeps them.
    if (name === 'SO_LINGER' && buffer[0] === 0) buffer.fill(0, 4, 8)
    return `${name} ${length < 0 ? String(length) : buffer.subarray(0, length).join()}`
  })
}

/** The rows of these options, and of some that are often set, for snapshots. */
export function rowsToWatch(names: readonly string[]): readonly Row[] {
  const watched = new Set([
    ...names,
    'SO_KEEPALIVE',
    'SO_LINGER',
    'SO_PRIORITY',
    'SO_RCVBUF',
    'TCP_NODELAY',
    'TCP_KEEPIDLE',
  ])
  return readable.filter(({ name }) => watched.has(name))
}
