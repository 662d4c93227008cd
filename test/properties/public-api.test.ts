import fc from 'fast-check'
import { isNativeError } from 'node:util/types'
import * as library from '../../lib'
import type { Settings, Target, WritableOption } from '../../lib'
import { rows } from '../options/rows'
import { closeAll } from '../sockets'
import {
  anything,
  cases,
  noDescriptor,
  rowsToWatch,
  snapshot,
  validValue,
  victimKind,
  victims,
} from './cases'

beforeEach(() => {
  library.configure({ hazards: 'ignore' })
})

/** Expects success or an error with a code, and returns whether there was one. */
function succeedsOrIsRefused(call: () => unknown): boolean {
  try {
    call()
    return false
  } catch (error) {
    expectCoded(error)
    return true
  }
}

function expectCoded(error: unknown): void {
  const coded = error as { code?: unknown; message?: unknown }
  if (
    !isNativeError(error) ||
    typeof coded.code !== 'string' ||
    !/^E[A-Z0-9_]+$/.test(coded.code) ||
    typeof coded.message !== 'string' ||
    coded.message === ''
  ) {
    throw new Error(`No error with a code: ${String(coded.code)}`, { cause: error })
  }
}

/** The name of an option, or a similar text. */
const optionName = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom<unknown>(...rows.map(({ name }) => name)) },
  { weight: 1, arbitrary: fc.constantFrom<unknown>('__proto__', 'constructor', 'so_type', '') },
  { weight: 1, arbitrary: anything },
)

/** A row with a value that may or may not be valid. */
const setting = fc
  .constantFrom(...rows)
  .chain((row) => fc.tuple(fc.constant(row.name), fc.oneof(validValue(row), anything)))

type How = 'number' | 'object' | 'handle'
const how = fc.constantFrom<How>('number', 'object', 'handle')

function targetOf(fd: number, as: How): Target {
  if (as === 'number') return fd
  return (as === 'object' ? { fd } : { _handle: { fd } }) as Target
}

/** Values that are not targets. */
const noTarget = fc.oneof(
  noDescriptor,
  noDescriptor.map((fd) => ({ fd })),
  noDescriptor.map((fd) => ({ fd, _handle: undefined })),
  anything.filter((value) => typeof value !== 'number' && !mayBeTarget(value)),
)

function mayBeTarget(value: unknown): boolean {
  return typeof value === 'object' && value !== null && ('fd' in value || '_handle' in value)
}

describe('a call with any arguments succeeds or throws a coded error:', () => {
  it('getOption', () => {
    fc.assert(
      fc.property(victimKind, how, optionName, (kind, as, name) => {
        const fd = victims[kind]()
        const before = snapshot(fd, rowsToWatch([]))
        succeedsOrIsRefused(() => library.getOption(targetOf(fd, as), name as 'SO_TYPE'))
        expect(snapshot(fd, rowsToWatch([]))).toEqual(before)
        closeAll()
      }),
      { numRuns: cases(10_000) },
    )
  })

  it('setOption, which changes nothing if it throws', () => {
    fc.assert(
      fc.property(victimKind, how, setting, (kind, as, [name, value]) => {
        const fd = victims[kind]()
        const watched = rowsToWatch([name])
        const before = snapshot(fd, watched)
        const threw = succeedsOrIsRefused(() => {
          library.setOption(targetOf(fd, as), name as WritableOption, value as never)
        })
        if (threw) expect(snapshot(fd, watched)).toEqual(before)
        closeAll()
      }),
      { numRuns: cases(30_000) },
    )
  })

  it('setOption with an unknown name', () => {
    fc.assert(
      fc.property(victimKind, optionName, anything, (kind, name, value) => {
        const fd = victims[kind]()
        const watched = rowsToWatch(typeof name === 'string' ? [name] : [])
        const before = snapshot(fd, watched)
        const threw = succeedsOrIsRefused(() => {
          library.setOption(fd, name as WritableOption, value as never)
        })
        if (threw) expect(snapshot(fd, watched)).toEqual(before)
        closeAll()
      }),
      { numRuns: cases(5_000) },
    )
  })

  it('tune with anything for settings', () => {
    fc.assert(
      fc.property(victimKind, anything, (kind, settings) => {
        const fd = victims[kind]()
        const before = snapshot(fd, rowsToWatch([]))
        succeedsOrIsRefused(() => library.tune(fd, settings as Settings))
        expect(snapshot(fd, rowsToWatch([]))).toEqual(before)
        closeAll()
      }),
      { numRuns: cases(5_000) },
    )
  })

  it('every function on an invalid target', () => {
    fc.assert(
      fc.property(noTarget, setting, anything, (target, [name, value], other) => {
        const settings: Settings = { SO_KEEPALIVE: true, ...{ [name]: value } }
        for (const call of [
          () => library.getOption(target as Target, name as 'SO_TYPE'),
          () => {
            library.setOption(target as Target, name as WritableOption, value as never)
          },
          () => library.tune(target as Target, settings),
          () => library.tcpInfo(target as Target),
          () => library.queueSizes(target as Target),
          () => {
            library.setCloseMode(target as never, other as never)
          },
          () => library.tuneServer(target as never, { settings: other as never }),
        ]) {
          expect(succeedsOrIsRefused(call)).toBe(true)
        }
      }),
      { numRuns: cases(5_000) },
    )
  })

  it('closeSocket on a value that is not a socket', async () => {
    await fc.assert(
      fc.asyncProperty(noTarget, anything, async (target, options) => {
        try {
          await library.closeSocket(target as never, options as never)
        } catch (error) {
          expectCoded(error)
          return
        }
        throw new Error('closed what is no socket')
      }),
      { numRuns: cases(3_000) },
    )
  })

  it('describeOption and configure', () => {
    fc.assert(
      fc.property(optionName, anything, (name, options) => {
        succeedsOrIsRefused(() => library.describeOption(name as 'SO_TYPE'))
        const refused = succeedsOrIsRefused(() => {
          library.configure(options as never)
        })
        if (typeof options !== 'object' || options === null) expect(refused).toBe(true)
      }),
      { numRuns: cases(5_000) },
    )
  })
})
