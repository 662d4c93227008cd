/** Compares the moments of the rows with the kernel's behaviour in each state of a socket. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import {
  configure,
  setOption,
  tcpInfo,
  tune,
  type SocketTunerWarning,
  type WritableOption,
} from '../../lib'
import { native } from '../../lib/kernel/binding'
import type { OptionTiming } from '../../lib/options/row'
import {
  boundSocket,
  fullListener,
  listeningSocket,
  loopback,
  succeed,
  tcpSocket,
  udpSocket,
  type Family,
} from '../sockets'
import { anotherValue, familyOf, isPresent, isUnsupported, read, rows, type Row } from './rows'

// The rows describe Linux.
const onLinux = process.platform === 'linux' ? describe : describe.skip

/** Makes a socket in each state. The destination of a connecting socket never answers. */
const states = {
  fresh: tcpSocket,
  bound: boundSocket,
  listening: listeningSocket,
  connecting: connectingSocket,
  connected: connectedSocket,
} as const satisfies Record<string, (family: Family) => number>

type State = keyof typeof states

/** The states in which it is too late. */
const late: Readonly<Record<OptionTiming, readonly State[]>> = {
  any: [],
  'pre-bind': ['bound', 'listening', 'connecting', 'connected'],
  'pre-connect': ['connecting', 'connected'],
  'pre-established': ['connected'],
  'pre-listen': ['connecting', 'connected'],
  connected: [],
}

function connectedSocket(family: Family): number {
  const port = native.localPort(listeningSocket(family))
  const fd = tcpSocket(family)
  native.connectFd(fd, loopback[family], port)
  return fd
}

function connectingSocket(family: Family): number {
  const port = fullListener(loopback[family])
  const fd = tcpSocket(family)
  native.connectFd(fd, loopback[family], port)
  return fd
}

/** Sets the option, and returns the code of its failure and the warnings before it. */
function attempt(fd: number, name: string, value: unknown): { code: unknown; warnings: string[] } {
  const warnings: string[] = []
  const listener = (message: unknown): void => {
    warnings.push((message as SocketTunerWarning).code)
  }
  configure({ hazards: 'ignore' })
  subscribe('socket-tuner:warning', listener)
  try {
    setOption(fd, name as WritableOption, value as never)
    return { code: undefined, warnings }
  } catch (error) {
    return { code: (error as { code?: unknown }).code, warnings }
  } finally {
    unsubscribe('socket-tuner:warning', listener)
  }
}

function valueFor(row: Row, fd: number): unknown {
  if (row.kind === 'filter') return [{ code: 6, jt: 0, jf: 0, k: 0 }]
  return anotherValue(row, row.access === 'w' ? undefined : read(fd, row.name))
}

const timed = rows.filter(
  (row) =>
    (row.access === 'w' || row.access === 'rw') &&
    isPresent(row) &&
    row.withinWindowScale !== true &&
    row.privilege === undefined &&
    late[row.when].length > 0,
)

onLinux.each(timed)('$name', (row) => {
  it.each(Object.keys(states) as State[])(
    'is set, refused or warned about on a %s socket as its row says',
    (state) => {
      const family = familyOf(row)
      const fd = states[state](family)
      if (isUnsupported(row, fd)) return
      const isLate = late[row.when].includes(state)
      const { code, warnings } = attempt(fd, row.name, valueFor(row, fd))
      if (isLate && row.refusedLate === true) {
        // EBADF if the value must be the descriptor of a program.
        expect(['EINVAL', 'EBADF']).toContain(code)
        expect(warnings).toEqual([])
        return
      }
      expect(warnings).toEqual(isLate ? ['SOCKET_TUNER_TOO_LATE'] : [])
      if (isLate) expect(code).toBeUndefined()
    },
  )
})

onLinux('an option without effect on TCP sockets', () => {
  const foreign = rows.filter(
    (row) =>
      row.noEffectOnTcp !== undefined &&
      (row.access === 'w' || row.access === 'rw') &&
      isPresent(row) &&
      row.privilege === undefined,
  )

  it.each(foreign)('causes a warning on a TCP socket, but not on a UDP socket: $name', (row) => {
    const family = familyOf(row)
    const tcp = tcpSocket(family)
    if (isUnsupported(row, tcp)) return
    const value = valueFor(row, tcp)
    for (const open of Object.values(states)) {
      expect(attempt(open(family), row.name, value)).toEqual({
        code: undefined,
        warnings: ['SOCKET_TUNER_NO_EFFECT'],
      })
    }
    expect(attempt(udpSocket(family), row.name, value).warnings).toEqual([])
  })
})

onLinux('an option that lets another socket bind to the same port', () => {
  /** Binds a second socket with the option to the port of `fd`. Returns -1 if that fails. */
  function bindsBeside(fd: number, name: 'SO_REUSEADDR' | 'SO_REUSEPORT'): number {
    const second = tcpSocket()
    setOption(second, name, true)
    return native.bindFd(second, loopback[4], native.localPort(fd)) < 0 ? -1 : second
  }

  it('is not too late on a bound socket: SO_REUSEADDR', () => {
    const first = boundSocket()
    expect(bindsBeside(first, 'SO_REUSEADDR')).toBe(-1)
    expect(tune(first, { SO_REUSEADDR: true }).SO_REUSEADDR.status).toBe('applied')
    expect(bindsBeside(first, 'SO_REUSEADDR')).toBeGreaterThan(-1)
  })

  it('is not too late on a listening socket, and balances the load: SO_REUSEPORT', () => {
    const first = boundSocket()
    succeed(native.listenFd(first, 64))
    expect(bindsBeside(first, 'SO_REUSEPORT')).toBe(-1)
    expect(tune(first, { SO_REUSEPORT: true }).SO_REUSEPORT.status).toBe('applied')
    const second = bindsBeside(first, 'SO_REUSEPORT')
    succeed(native.listenFd(second, 64))
    // The probability that all go to the same listener is 2 to the power of -39.
    const CONNECTIONS = 40
    for (let made = 0; made < CONNECTIONS; made++) {
      native.connectFd(tcpSocket(), loopback[4], native.localPort(first))
    }
    const queued = [first, second].map((fd) => tcpInfo(fd).unacked ?? 0)
    expect(queued.reduce((sum, each) => sum + each)).toBe(CONNECTIONS)
    expect(Math.min(...queued)).toBeGreaterThan(0)
  })
})

it('the sockets of these tests can be made in each state', () => {
  for (const family of [4, 6] as const) {
    for (const open of Object.values(states)) succeed(native.localPort(open(family)))
  }
})
