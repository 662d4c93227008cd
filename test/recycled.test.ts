import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import * as net from 'node:net'
import { constants } from 'node:os'
import { RawSocket, closeSocket, configure, getOption, setCloseMode, setOption, tune } from '../lib'
import { native } from '../lib/kernel/binding'
import { snapshot } from './properties/cases'
import {
  closeLater,
  connectedPair,
  constant,
  destroyLater,
  failureOf,
  listen,
  loopback,
  tcpSocket,
} from './sockets'

/** Another socket that has taken the number `fd`, and its state in the kernel. */
class Newcomer {
  readonly #fd: number
  readonly #before: string[]

  constructor(fd: number) {
    // The kernel assigns the lowest free number.
    for (let taken = tcpSocket(); taken !== fd; taken = tcpSocket()) {
      if (taken > fd + 1_000) throw new Error(`fd ${String(fd)} is not free`)
    }
    this.#fd = fd
    this.#before = snapshot(fd)
  }

  expectUntouched(): void {
    expect(snapshot(this.#fd)).toEqual(this.#before)
    expect(native.localPort(this.#fd)).toBe(0)
  }
}

/** Returns a function that, at its first call, closes the socket and opens a newcomer under its number. */
function recycling(raw: RawSocket): { now: () => void; newcomer: () => Newcomer } {
  let newcomer: Newcomer | undefined
  return {
    now: () => {
      if (newcomer !== undefined) return
      const { fd } = raw
      raw.close()
      newcomer = new Newcomer(fd)
    },
    newcomer: () => {
      if (newcomer === undefined) throw new Error('The number was not recycled')
      return newcomer
    },
  }
}

/** Calls `react` at each warning of this library during the test. */
function onWarning(react: () => void): void {
  subscribe('socket-tuner:warning', react)
  closeLater(() => unsubscribe('socket-tuner:warning', react))
}

function rawSocket(): RawSocket {
  const raw = RawSocket.open(4)
  closeLater(() => {
    raw.close()
  })
  return raw
}

/** Opens a RawSocket that listens on loopback. */
function rawListener(): RawSocket {
  const raw = rawSocket().bind({ address: loopback[4] })
  native.listenFd(raw.fd, 1)
  return raw
}

const destroyed = { code: 'ERR_SOCKET_TUNER_DESTROYED' }

describe('the socket that takes the number of a closed one', () => {
  it.each<[string, (raw: RawSocket, recycle: () => void) => void]>([
    [
      'setOption, by a field of the value',
      (raw, recycle) => {
        const seconds = 0
        const value = {
          get enabled() {
            recycle()
            return true
          },
          seconds,
        }
        setOption(raw, 'SO_LINGER', value)
      },
    ],
    [
      'tune, by a setting',
      (raw, recycle) => {
        tune(raw, {
          SO_KEEPALIVE: true,
          get TCP_NODELAY() {
            recycle()
            return true
          },
        })
      },
    ],
    [
      'RawSocket.tune, by a setting',
      (raw, recycle) => {
        raw.tune({
          get TCP_KEEPIDLE() {
            recycle()
            return 77
          },
        })
      },
    ],
    [
      'bind, by an option',
      (raw, recycle) => {
        raw.bind({
          address: loopback[4],
          get port() {
            recycle()
            return 0
          },
        })
      },
    ],
    [
      'connect, by an option',
      (raw, recycle) => {
        destroyLater(
          raw.connect({
            host: loopback[4],
            port: 1,
            get timeout() {
              recycle()
              return 1_000
            },
          }),
        )
      },
    ],
    [
      'setCloseMode, by an option',
      (raw, recycle) => {
        setCloseMode(raw, {
          mode: 'reset',
          get deadlineMs() {
            recycle()
            return 1_000
          },
        })
      },
    ],
  ])('is not affected if the other one is closed during %s', (_, call) => {
    const raw = rawSocket()
    const { now, newcomer } = recycling(raw)
    expect(
      failureOf(() => {
        call(raw, now)
      }),
    ).toMatchObject(destroyed)
    newcomer().expectUntouched()
  })

  it.each<[string, (raw: RawSocket) => void]>([
    [
      'setOption',
      (raw) => {
        setOption(raw, 'SO_LINGER', { enabled: true, seconds: 0 })
      },
    ],
    ['tune', (raw) => tune(raw, { SO_LINGER: { enabled: true, seconds: 0 } })],
    [
      'setCloseMode',
      (raw) => {
        setCloseMode(raw, 'reset')
      },
    ],
    ['getOption', (raw) => getOption(raw, 'SO_ERROR')],
  ])('is not affected if a subscriber to the warning of %s closes the other one', (_, call) => {
    configure({ hazards: 'ignore' })
    const raw = rawListener()
    const { now, newcomer } = recycling(raw)
    onWarning(now)
    expect(
      failureOf(() => {
        call(raw)
      }),
    ).toMatchObject(destroyed)
    newcomer().expectUntouched()
  })

  it('keeps its pending error if a subscriber closes the socket that was to be read', () => {
    configure({ hazards: 'ignore' })
    const raw = rawSocket()
    const { fd } = raw
    const { now } = recycling(raw)
    onWarning(() => {
      now()
      // Nothing listens on port 1, so the refusal is immediate.
      native.connectFd(fd, loopback[4], 1)
    })
    expect(failureOf(() => getOption(raw, 'SO_ERROR'))).toMatchObject(destroyed)
    const error = native.getInt(fd, constant('SOL_SOCKET'), constant('SO_ERROR'))
    expect(error).toBe(constants.errno.ECONNREFUSED)
  })

  it.each(['fin', 'deliver', 'lingering', 'reset'] as const)(
    'is not affected by the rest of a close of the other one in mode %s, or by a second close',
    async (mode) => {
      const { client, accepted } = await connectedPair()
      const { fd } = (client as unknown as { _handle: { fd: number } })._handle
      accepted.resume().on('end', () => accepted.end())
      const closed = once(client, 'close')
      const first = closeSocket(client, { mode, deadlineMs: 5_000 })
      await closed
      const newcomer = new Newcomer(fd)
      await Promise.all([first, closeSocket(client, 'reset')])
      expect(
        failureOf(() => {
          setOption(client, 'TCP_NODELAY', true)
        }),
      ).toMatchObject(destroyed)
      expect(
        failureOf(() => {
          setCloseMode(client, 'reset')
        }),
      ).toMatchObject(destroyed)
      client.destroy().setKeepAlive(true, 5_000)
      newcomer.expectUntouched()
    },
  )

  it('is not affected by keepalive options that were set on the other one', async () => {
    const port = await listen(net.createServer().on('connection', destroyLater))
    const client = net.connect(port, loopback[4])
    destroyLater(client)
    await once(client, 'connect')
    setOption(client, 'TCP_KEEPIDLE', 55)
    const handle = (client as unknown as { _handle: net.Socket & { fd: number } })._handle
    const { fd } = handle
    client.destroy()
    await once(client, 'close')
    const newcomer = new Newcomer(fd)
    handle.setKeepAlive(true, 9)
    newcomer.expectUntouched()
    expect(native.getInt(fd, constant('IPPROTO_TCP'), constant('TCP_KEEPIDLE'))).not.toBe(55)
  })
})
