/** Calls of the library from within a call: getters of a target or a value, and subscribers, are the caller's code. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type * as net from 'node:net'
import { configure, getOption, queueSizes, setOption, tcpInfo, tune, type Target } from '../../lib'
import { native } from '../../lib/kernel/binding'
import { connectedPair, tcpSocket } from '../sockets'

// Any user may set 'reno' and the current algorithm.
const others = { TCP_KEEPIDLE: 99, TCP_KEEPINTVL: 98, TCP_CONGESTION: 'reno', SO_LINGER: off() }

function off(): { enabled: boolean; seconds: number } {
  return { enabled: false, seconds: 0 }
}

/** Calls on another socket every function that reuses a buffer for the kernel's answers. */
function interfere(fd: number): void {
  tune(fd, others)
  tcpInfo(fd)
  getOption(fd, 'TCP_CONGESTION')
  setOption(fd, 'TCP_LINGER2', 5)
}

/** Returns a target whose `_handle` calls the library whenever it is read. */
function hostile(socket: net.Socket): Target {
  const fd = tcpSocket()
  const handle = (socket as unknown as { _handle: object })._handle
  return {
    get _handle() {
      interfere(fd)
      return handle
    },
  } as unknown as Target
}

describe('a getter of the target that calls the library', () => {
  it('does not change the report of tune()', async () => {
    const { client } = await connectedPair()
    const algorithm = getOption(client, 'TCP_CONGESTION')
    const report = tune(hostile(client), {
      TCP_KEEPIDLE: 20,
      TCP_KEEPINTVL: 7,
      TCP_CONGESTION: algorithm,
      SO_LINGER: { enabled: true, seconds: 0 },
    })
    expect(report).toEqual({
      TCP_KEEPIDLE: { status: 'applied', value: 20 },
      TCP_KEEPINTVL: { status: 'applied', value: 7 },
      TCP_CONGESTION: { status: 'applied', value: algorithm },
      SO_LINGER: { status: 'applied', value: { enabled: true, seconds: 0 } },
    })
    client.setKeepAlive(true, 60_000)
    expect(getOption(client, 'TCP_KEEPIDLE')).toBe(20)
  })

  it('does not change the value that is read', async () => {
    const { client } = await connectedPair()
    const algorithm = getOption(client, 'TCP_CONGESTION')
    tune(client, { TCP_KEEPIDLE: 20 })
    const target = hostile(client)
    expect(getOption(target, 'TCP_CONGESTION')).toBe(algorithm)
    expect(getOption(target, 'TCP_KEEPIDLE')).toBe(20)
    expect(tcpInfo(target).state).toBe('ESTABLISHED')
    expect(queueSizes(target)).toEqual({ unread: 0, unacknowledged: 0, unsent: 0 })
  })
})

it('a getter of a setting that calls tune() does not change the values that are set', () => {
  const fd = tcpSocket()
  const report = tune(fd, {
    TCP_KEEPIDLE: 20,
    get TCP_KEEPINTVL() {
      interfere(tcpSocket())
      return 7
    },
    get SO_LINGER() {
      interfere(tcpSocket())
      return {
        enabled: true,
        get seconds() {
          interfere(tcpSocket())
          return 0
        },
      }
    },
  })
  expect(report).toMatchObject({
    TCP_KEEPIDLE: { value: 20 },
    TCP_KEEPINTVL: { value: 7 },
    SO_LINGER: { value: { enabled: true, seconds: 0 } },
  })
  expect(getOption(fd, 'TCP_KEEPIDLE')).toBe(20)
})

it('a subscriber to warnings that calls the library does not change the report', async () => {
  const { client } = await connectedPair()
  const fd = tcpSocket()
  let calls = 0
  const interrupt = (): void => {
    calls++
    interfere(fd)
  }
  configure({ hazards: 'ignore' })
  subscribe('socket-tuner:warning', interrupt)
  try {
    const report = tune(client, { TCP_KEEPIDLE: 20, TCP_MAXSEG: 1000, TCP_SYNCNT: 3 })
    expect(report.TCP_KEEPIDLE).toEqual({ status: 'applied', value: 20 })
    expect(report.TCP_SYNCNT).toMatchObject({ status: 'tooLate', value: 3 })
    expect(calls).toBe(2)
    expect(native.getInt(fd, 6, native.constants.TCP_KEEPIDLE ?? 0)).toBe(99)
  } finally {
    unsubscribe('socket-tuner:warning', interrupt)
  }
})
