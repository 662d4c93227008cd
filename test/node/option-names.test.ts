/** Contract tests: that lib/node/option-names.ts has each option that Node reads, on the release that runs them. */
import { once } from 'node:events'
import * as net from 'node:net'
import * as tls from 'node:tls'
import { agentNames, netConnectNames, tlsNames } from '../../lib/node/option-names'
import { socketPath } from '../options/targets'
import { destroyLater, listen, loopback } from '../sockets'

/** Read by Node and meant for itself only. */
const OF_NODE_ALONE = ['singleUse']

/** Options of which every name that is read is kept. */
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

describe('Every option that Node reads', () => {
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

  it('in new net.Socket() is one of netConnectNames', () => {
    const { options, names } = recorded({})
    new net.Socket(options)
    expectKnown(names(), netConnectNames)
  })

  it('in tls.createSecureContext() is one of tlsNames', () => {
    const { options, names } = recorded({})
    tls.createSecureContext(options)
    expectKnown(names(), tlsNames)
  })
})

describe('The options of an agent', () => {
  it('are those of the connections that it makes, and more', () => {
    expect([...netConnectNames, ...tlsNames].filter((name) => !agentNames.includes(name))).toEqual(
      [],
    )
  })
})
