import fc from 'fast-check'
import { constants as os } from 'node:os'
import { native } from '../../lib/kernel/binding'
import { closeAll, constant } from '../sockets'
import { anything, cases, noDescriptor, snapshot, victimKind, victims } from './cases'

const functions = native as unknown as Readonly<Record<string, (...args: unknown[]) => unknown>>

/** All native functions. They receive no descriptor of this process except the victim's. */
const names = Object.keys(native).filter((name) => name !== 'constants')

/** Calls the function, which must return a number and never throw. */
function numberFrom(name: string, args: readonly unknown[]): number {
  let result: unknown
  try {
    result = functions[name]?.(...args)
  } catch (cause) {
    throw new Error(`${name} threw`, { cause })
  }
  if (typeof result !== 'number' || !Number.isFinite(result)) {
    throw new Error(`${name} returned ${String(result)}`)
  }
  return result
}

const level = fc.constantFrom(
  ...['SOL_SOCKET', 'IPPROTO_TCP', 'IPPROTO_IP', 'IPPROTO_IPV6'].map(constant),
)
const length = fc.oneof(fc.constantFrom(0, 1, 4, 8, 216, 32_768, 32_769), fc.nat({ max: 70_000 }))

/** Buffers of every kind: whole, shared, a part of another one, detached. */
const memory = fc.oneof(
  length.map((size) => new Uint8Array(size).fill(1)),
  length.map((size) => new Uint8Array(new SharedArrayBuffer(size))),
  length.map((size) => Buffer.alloc(size)),
  length.map((size) => new Uint8Array(new ArrayBuffer(size + 16), 8, size)),
  length.map((size) => new Uint8Array(resizable(size, 80_000))),
  length.map((size) => new Int32Array(Math.ceil(size / 4))),
  length.map((size) => detached(new Uint8Array(size))),
  length.map((size) => detached(new Int32Array(Math.ceil(size / 4)))),
  length.map((size) => shrunk(size)),
  length.map((size) => new DataView(new ArrayBuffer(size))),
  length.map((size) => new Proxy(new Uint8Array(size), {})),
  fc.array(fc.integer(), { maxLength: 44 }).map((slots) => Int32Array.from(slots)),
)

function detached<T extends Uint8Array | Int32Array>(array: T): T {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] })
  return array
}

/** Returns an array whose buffer was shrunk. */
function shrunk(size: number): Uint8Array {
  const buffer = resizable(size + 8, size + 8)
  const array = new Uint8Array(buffer, 4, size)
  buffer.resize(2)
  return array
}

/** The ArrayBuffer of ECMAScript 2024, which the types lack. */
interface ResizableBuffer extends ArrayBuffer {
  resize(length: number): void
}

function resizable(size: number, most: number): ResizableBuffer {
  const create = ArrayBuffer as unknown as new (
    length: number,
    options: { maxByteLength: number },
  ) => ResizableBuffer
  return new create(size, { maxByteLength: Math.max(size, most) })
}

const argument = fc.oneof(
  anything,
  memory,
  level,
  fc.nat({ max: 100 }),
  fc.integer(),
  fc.constantFrom('127.0.0.1', '::1', '::1%lo', 'x'.repeat(200), '\0'),
)

/** Stands for a descriptor that a call may close. The first argument is a descriptor except for openSocket. */
const VICTIM = Symbol('victim')
const first = fc.oneof(
  { weight: 3, arbitrary: fc.constant<unknown>(VICTIM) },
  { weight: 1, arbitrary: noDescriptor },
  { weight: 1, arbitrary: anything.filter((value) => typeof value !== 'number') },
)

const withVictim = (args: readonly unknown[], fd: number): unknown[] =>
  args.map((value) => (value === VICTIM ? fd : value))

describe('a native function', () => {
  it.each(names.filter((name) => name !== 'openSocket'))(
    'returns a number for any arguments: %s',
    (name) => {
      fc.assert(
        fc.property(
          victimKind,
          first,
          fc.array(argument, { maxLength: 5 }),
          (kind, descriptor, others) => {
            const fd = victims[kind]()
            const args = withVictim([descriptor, ...others], fd)
            const result = numberFrom(name, args)
            const { closed, opened } = whatBecameOf(name, args[0] === fd, result)
            if (name === 'ownFd' && result === 0) native.disownFd(args[1] as object)
            if (opened !== undefined) native.closeFd(opened)
            closeAll(closed ? fd : undefined)
          },
        ),
        { numRuns: cases(1_500) },
      )
    },
  )

  it('returns a number for any arguments: openSocket', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(argument, fc.nat({ max: 50 })), { maxLength: 4 }), (args) => {
        const fd = numberFrom('openSocket', args)
        if (fd >= 0) expect(native.closeFd(fd)).toBe(0)
      }),
      { numRuns: cases(2_000) },
    )
  })

  it.each(names)('changes no socket other than its target: %s', (name) => {
    const fd = victims['fresh IPv6']()
    const before = snapshot(fd)
    fc.assert(
      fc.property(
        fc.oneof(
          noDescriptor,
          anything.filter((value) => typeof value !== 'number'),
          // Each would become the victim's descriptor if it were truncated, rounded or converted.
          fc.constantFrom<unknown>(
            fd + 2 ** 32,
            fd + 2 ** 31 * 2 ** 8,
            fd - 2 ** 32,
            fd + 0.5,
            -fd,
            String(fd),
            BigInt(fd),
            [fd],
            { valueOf: () => fd },
            new Number(fd),
          ),
        ),
        fc.array(argument, { maxLength: 5 }),
        (descriptor, others) => {
          const result = numberFrom(name, [descriptor, ...others])
          if (name === 'openSocket' && result >= 0) native.closeFd(result)
        },
      ),
      { numRuns: cases(1_000) },
    )
    expect(snapshot(fd)).toEqual(before)
  })

  it.each(['getInt', 'getBytes', 'setInt', 'setBytes', 'setProgram'])(
    'does not crash for any option and any length of memory: %s',
    (name) => {
      fc.assert(
        fc.property(
          victimKind,
          level,
          fc.oneof(fc.nat({ max: 100 }), fc.integer()),
          fc.oneof(memory, fc.integer()),
          (kind, optionLevel, option, value) => {
            numberFrom(name, [victims[kind](), optionLevel, option, value])
            closeAll()
          },
        ),
        { numRuns: cases(2_000) },
      )
    },
  )

  it('writes nothing behind its memory: getBytes', () => {
    fc.assert(
      fc.property(
        victimKind,
        level,
        fc.nat({ max: 100 }),
        fc.nat({ max: 64 }),
        (kind, optionLevel, option, size) => {
          const around = new Uint8Array(size + 64).fill(0xee)
          const out = around.subarray(32, 32 + size)
          const written = native.getBytes(victims[kind](), optionLevel, option, out)
          expect(written).toBeLessThanOrEqual(size)
          expect([...around.subarray(0, 32), ...around.subarray(32 + size)]).toEqual(
            Array(64).fill(0xee),
          )
          closeAll()
        },
      ),
      { numRuns: cases(4_000) },
    )
  })

  it('does not crash for any program: applyBatch', () => {
    const slot = fc.oneof(fc.nat({ max: 127 }), fc.integer(), level)
    fc.assert(
      fc.property(
        victimKind,
        fc.array(slot, { maxLength: 44 }),
        fc.nat({ max: 128 }),
        fc.nat({ max: 5 }),
        (kind, slots, size, count) => {
          const around = new Uint8Array(size + 64).fill(0xee)
          const data = around.subarray(32, 32 + size)
          const program = Int32Array.from(slots)
          const result = native.applyBatch(victims[kind](), program, data, count)
          expect(result).toBeGreaterThanOrEqual(-os.errno.EINVAL)
          expect(result).toBeLessThanOrEqual(count)
          expect([...around.subarray(0, 32), ...around.subarray(32 + size)]).toEqual(
            Array(64).fill(0xee),
          )
          closeAll()
        },
      ),
      { numRuns: cases(10_000) },
    )
  })

  it('returns a number for only a descriptor, and for no arguments', () => {
    for (const name of names) {
      const results = [numberFrom(name, []), numberFrom(name, [undefined])]
      // descriptorLimit takes no arguments.
      if (name === 'descriptorLimit') expect(Math.min(...results)).toBeGreaterThan(0)
      else expect(Math.max(...results)).toBeLessThan(0)
      const constructed = (): unknown => Reflect.construct(functions[name] as () => void, [])
      expect(constructed).not.toThrow()
    }
  })
})

/** Returns the descriptors that a call with the victim has closed or opened. */
function whatBecameOf(
  name: string,
  gotVictim: boolean,
  result: number,
): { closed: boolean; opened: number | undefined } {
  return {
    closed: name === 'closeFd' && gotVictim && result === 0,
    opened: name === 'duplicateFd' && result >= 0 ? result : undefined,
  }
}
