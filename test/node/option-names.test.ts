/** Contract tests: lib/node/option-names.ts has every option that Node reads, on this release of Node. */
import { once } from 'node:events'
import * as net from 'node:net'
import * as tls from 'node:tls'
import {
  agentNames,
  netConnectNames,
  netSocketNames,
  socketConnectNames,
  tlsNames,
} from '../../lib/node/option-names'
import { socketPath } from '../options/targets'
import { destroyLater, listen, loopback } from '../sockets'

/** Options that Node reads but does not document. */
const OF_NODE_ALONE = ['singleUse']

/** Wraps the options to record every name that is read. */
function recorded<T extends object>(options: T): { options: T; names: () => string[] } {
  const read = new Set<string>()
  const note = (key: string | symbol): void => {
    if (typeof key === 'string') read.add(key)
  }
  const proxy = new Proxy(options, {
    get: (target, key, receiver) => {
      note(key)
      return Reflect.get(target, key, receiver) as unknown
    },
    has: (target, key) => {
      note(key)
      return Reflect.has(target, key)
    },
  })
  return { options: proxy, names: () => [...read].filter((name) => !OF_NODE_ALONE.includes(name)) }
}

function expectKnown(names: readonly string[], known: readonly string[]): void {
  expect(names.length).toBeGreaterThan(0)
  expect(names.filter((name) => !known.includes(name))).toEqual([])
}

describe('every option that Node reads', () => {
  it.each([loopback[4], 'localhost'])(
    'in net.connect() to %s is one of netConnectNames',
    async (host) => {
      const port = await listen(net.createServer(destroyLater))
      const { options, names } = recorded({ host, port, family: 4 })
      const socket = net.connect(options)
      destroyLater(socket)
      await once(socket, 'connect')
      expectKnown(names(), netConnectNames)
    },
  )

  it('in net.connect() to a path is one of netConnectNames', async () => {
    const { options, names } = recorded({ path: socketPath() })
    const socket = net.connect(options)
    await new Promise((resolve) => socket.once('error', resolve))
    expectKnown(names(), netConnectNames)
  })

  it('in new net.Socket() is one of netSocketNames', () => {
    const { options, names } = recorded({})
    new net.Socket(options)
    expectKnown(names(), netSocketNames)
  })

  it.each([loopback[4], 'localhost'])(
    'in connect() of a net.Socket to %s is one of socketConnectNames',
    async (host) => {
      const port = await listen(net.createServer(destroyLater))
      const { options, names } = recorded({ host, port, family: 4 })
      const socket = new net.Socket()
      destroyLater(socket)
      socket.connect(options)
      await once(socket, 'connect')
      expectKnown(names(), socketConnectNames)
    },
  )

  it('in tls.createSecureContext() is one of tlsNames', () => {
    const { options, names } = recorded({})
    tls.createSecureContext(options)
    expectKnown(names(), tlsNames)
  })
})

describe('the options of an agent', () => {
  it('include those of its connections', () => {
    expect([...netConnectNames, ...tlsNames].filter((name) => !agentNames.includes(name))).toEqual(
      [],
    )
  })
})
