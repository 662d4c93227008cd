/** What the rows say of the moment of a set, compared with what the kernel says in each state of a socket. */
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

const onLinux = process.platform === 'linux' ? describe : describe.skip

/** Sockets in each state, that of a connection being made included: nobody answers at its destination. */
const states = {
  fresh: tcpSocket,
  bound: boundSocket,
  listening: listeningSocket,
  connecting: connectingSocket,
  connected: connectedSocket,
} as const satisfies Record<string, (family: Family) => number>

type State = keyof typeof states

/** When each is too late. */
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

/** What came of a set: whether the kernel took it, and the warnings before it. */
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
  it.each(Object.keys(states) as State[])('on a %s socket', (state) => {
    const family = familyOf(row)
    const fd = states[state](family)
    if (isUnsupported(row, fd)) return
    const isLate = late[row.when].includes(state)
    const { code, warnings } = attempt(fd, row.name, valueFor(row, fd))
    if (isLate && row.refusedLate === true) {
      // EBADF where the value is the descriptor of a program.
      expect(['EINVAL', 'EBADF']).toContain(code)
      expect(warnings).toEqual([])
      return
    }
    expect(warnings).toEqual(isLate ? ['SOCKET_TUNER_TOO_LATE'] : [])
    if (isLate) expect(code).toBeUndefined()
  })
})

onLinux('an option that is for other sockets than TCP ones', () => {
  const foreign = rows.filter(
    (row) =>
      row.noEffectOnTcp !== undefined &&
      (row.access === 'w' || row.access === 'rw') &&
      isPresent(row) &&
      row.privilege === undefined,
  )

  it.each(foreign)('$name, is warned of on a TCP socket and nowhere else', (row) => {
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

onLinux('an option that bind() of another socket asks for', () => {
  /** Whether a second socket with the option can be bound beside one that was bound before. */
  function bindsBeside(fd: number, name: 'SO_REUSEADDR' | 'SO_REUSEPORT'): number {
    const second = tcpSocket()
    setOption(second, name, true)
    return native.bindFd(second, loopback[4], native.localPort(fd)) < 0 ? -1 : second
  }

  it('is in time on a bound socket: SO_REUSEADDR', () => {
    const first = boundSocket()
    expect(bindsBeside(first, 'SO_REUSEADDR')).toBe(-1)
    expect(tune(first, { SO_REUSEADDR: true }).SO_REUSEADDR.status).toBe('applied')
    expect(bindsBeside(first, 'SO_REUSEADDR')).toBeGreaterThan(-1)
  })

  it('is in time on a listening socket, and balances: SO_REUSEPORT', () => {
    const first = boundSocket()
    succeed(native.listenFd(first, 64))
    expect(bindsBeside(first, 'SO_REUSEPORT')).toBe(-1)
    expect(tune(first, { SO_REUSEPORT: true }).SO_REUSEPORT.status).toBe('applied')
    const second = bindsBeside(first, 'SO_REUSEPORT')
    succeed(native.listenFd(second, 64))
    // That all 40 come to one of two is a matter of 1 in 2 to the 39th power.
    const CONNECTIONS = 40
    for (let made = 0; made < CONNECTIONS; made++) {
      native.connectFd(tcpSocket(), loopback[4], native.localPort(first))
    }
    const queued = [first, second].map((fd) => tcpInfo(fd).unacked ?? 0)
    expect(queued.reduce((sum, each) => sum + each)).toBe(CONNECTIONS)
    expect(Math.min(...queued)).toBeGreaterThan(0)
  })
})

it('shows a socket in each state', () => {
  for (const family of [4, 6] as const) {
    for (const open of Object.values(states)) succeed(native.localPort(open(family)))
  }
})
