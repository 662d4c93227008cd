import { constants } from 'node:os'
import { type DelayedSegmentsAccepted, destroyTimeWait, type SocketFilter } from '../../lib/ports'
import { native } from '../../lib/kernel/binding'
import { coded } from '../helpers/coded'

const accepted = { iAcceptDelayedSegments: true } as const
/** An address for documentation, which no socket has (RFC 5737). */
const nobody = { remoteAddress: '192.0.2.1' }

afterEach(() => {
  jest.restoreAllMocks()
})

/** Calls back as if the kernel had answered. */
function answer(begun: number, result?: number): void {
  jest.spyOn(native, 'destroyTimeWait').mockImplementation((_, done) => {
    if (result !== undefined) done(result)
    return begun
  })
}

/** Runs `call` without the capabilities of root, and restores them afterwards. */
async function unprivileged(call: () => Promise<unknown>): Promise<unknown> {
  if (process.geteuid?.() !== 0) return call()
  process.seteuid?.(65_534)
  try {
    return await call()
  } finally {
    process.seteuid?.(0)
  }
}

describe('destroyTimeWait()', () => {
  it.each<[string, unknown, string]>([
    ['missing', undefined, 'ERR_INVALID_ARG_TYPE'],
    ['true', true, 'ERR_INVALID_ARG_TYPE'],
    ['an empty object', {}, 'ERR_INVALID_ARG_VALUE'],
    ['iAcceptDelayedSegments: false', { iAcceptDelayedSegments: false }, 'ERR_INVALID_ARG_VALUE'],
    ['iAcceptDelayedSegments: 1', { iAcceptDelayedSegments: 1 }, 'ERR_INVALID_ARG_VALUE'],
    [
      'an object with an unknown option',
      { ...accepted, force: true },
      'ERR_SOCKET_TUNER_UNKNOWN_OPTION',
    ],
  ])('does nothing if the second argument is %s', async (_, second, code) => {
    const call = jest.spyOn(native, 'destroyTimeWait')
    await expect(destroyTimeWait({}, second as DelayedSegmentsAccepted)).rejects.toThrow(
      coded(code),
    )
    expect(call).not.toHaveBeenCalled()
  })

  it.each<[string, unknown, string]>([
    ['missing', undefined, 'ERR_INVALID_ARG_TYPE'],
    ['null', null, 'ERR_INVALID_ARG_TYPE'],
    ['a list', [], 'ERR_INVALID_ARG_TYPE'],
    ['a misspelled field', { remoteport: 80 }, 'ERR_SOCKET_TUNER_UNKNOWN_OPTION'],
    ['a field of a census', { states: ['TIME_WAIT'] }, 'ERR_SOCKET_TUNER_UNKNOWN_OPTION'],
    ['a field without a value', { remotePort: undefined }, 'ERR_INVALID_ARG_VALUE'],
    ['a host name', { remoteAddress: 'localhost' }, 'ERR_INVALID_ARG_VALUE'],
    ['a port out of range', { localPort: 65_536 }, 'ERR_OUT_OF_RANGE'],
    ['a port as a string', { localPort: '80' }, 'ERR_INVALID_ARG_TYPE'],
  ])('does nothing if the filter is %s', async (_, filter, code) => {
    const call = jest.spyOn(native, 'destroyTimeWait')
    await expect(destroyTimeWait(filter as SocketFilter, accepted)).rejects.toThrow(coded(code))
    expect(call).not.toHaveBeenCalled()
  })

  it('names the missing capability even if there is nothing to remove', async () => {
    await expect(unprivileged(() => destroyTimeWait(nobody, accepted))).rejects.toMatchObject({
      code: 'EPERM',
      errno: -constants.errno.EPERM,
      syscall: 'sock_diag',
      message: expect.stringContaining('CAP_NET_ADMIN') as string,
    })
  })

  it.each([
    ['cannot destroy sockets', constants.errno.EOPNOTSUPP],
    ['has no inet_diag', constants.errno.ENOENT],
    ['has no NETLINK_SOCK_DIAG', constants.errno.EPROTONOSUPPORT],
  ])('is unsupported if the kernel %s', async (_, errno) => {
    answer(0, -errno)
    await expect(destroyTimeWait(nobody, accepted)).rejects.toMatchObject({
      code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
      errno: -errno,
    })
  })

  it('reports the errno of any other failure, at once or later', async () => {
    answer(0, -constants.errno.ENOBUFS)
    await expect(destroyTimeWait(nobody, accepted)).rejects.toThrow(coded('ENOBUFS'))
    answer(-constants.errno.ENOMEM)
    await expect(destroyTimeWait(nobody, accepted)).rejects.toThrow(coded('ENOMEM'))
  })
})

describe('native.destroyTimeWait()', () => {
  it.each<[string, unknown[]]>([
    ['no arguments', []],
    ['a filter that is not a buffer', ['x', () => undefined]],
    ['a filter that is too long', [new Uint8Array(70_000), () => undefined]],
    ['no callback', [new Uint8Array(0)]],
    ['a callback that is not a function', [new Uint8Array(0), {}]],
  ])('refuses %s', (_, args) => {
    const all = native as unknown as { destroyTimeWait: (...args: unknown[]) => number }
    expect(all.destroyTimeWait(...args)).toBe(-constants.errno.EINVAL)
  })
})
