/** Closes where other packages end the connections: ws, http-proxy, and both together. */
import type { ServerCounters } from '../../lib'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'
import type { Program } from '../helpers/program'
import { size } from '../helpers/size'
import { until } from '../helpers/until'

const CONNECTIONS = size('PROXIED_CONNECTIONS')
const AT_A_TIME = 32
const close = { mode: 'deliver', onEnd: 'close' } as const
/** A port for each connection, so that every TIME_WAIT entry can be counted. */
const manyPorts = { 'net.ipv4.ip_local_port_range': '1024 65535' }

interface Seen {
  errors: Record<string, number>
  warnings: string[]
  counters: ServerCounters
}

/** Returns the counts of a server once it has closed all its connections. */
function afterCloses(server: Program): Promise<Seen> {
  return until(
    'the server has closed every connection',
    async () => (await server.ask('seen')) as Seen,
    ({ counters }) => Object.values(counters.closes).reduce((a, b) => a + b, 0) >= CONNECTIONS,
  )
}

labDescribe(
  `a server behind http-proxy, ${String(CONNECTIONS)} connections in each way`,
  ['root', 'ip'],
  () => {
    const namespace = useNamespace(manyPorts)
    let server: Program
    let serverPort: number
    let proxy: Program
    let proxyPort: number

    beforeEach(async () => {
      const { server: first, port } = await namespace().serve('websocket-server', { close })
      ;[server, serverPort] = [first, port]
      const second = await namespace().serve('proxy-server', { target: serverPort, close })
      ;[proxy, proxyPort] = [second.server, second.port]
    })
    afterEach(async () => {
      await proxy.stop()
      await server.stop()
    })

    /** Expects that only `deliver` was counted, and nothing was lost. */
    async function expectAllDelivered(...servers: Program[]): Promise<void> {
      for (const each of servers) {
        const { errors, warnings, counters } = await afterCloses(each)
        expect({ errors, warnings }).toEqual({ errors: {}, warnings: [] })
        expect(counters).toMatchObject({
          closes: { deliver: CONNECTIONS, fin: 0, reset: 0, lingering: 0 },
          fallbacks: {},
          discardedBytes: 0,
          timeWaitLeft: 0,
        })
      }
    }

    it('leaves no TIME_WAIT anywhere after requests through the proxy', async () => {
      const before = await namespace().timeWaitsMade()
      const task = { port: proxyPort, requests: CONNECTIONS, atATime: AT_A_TIME }
      const client = await namespace().perform('http-client', task)
      expect(client).toEqual({ answered: CONNECTIONS, ends: CONNECTIONS, errors: {} })
      await expectAllDelivered(proxy, server)
      expect((await namespace().timeWaitsMade()) - before).toBe(0)
    })

    // Server and client of ws both end when they have received the close frame. If the FINs cross, an entry is left on
    // both sides, whatever is set.
    it.each([
      ['ws alone', 1],
      ['ws through the proxy', 2],
    ])('leaves TIME_WAIT only if both ends closed at once, with %s', async (way, hops) => {
      const isDirect = way === 'ws alone'
      const before = await namespace().timeWaitsMade()
      const port = isDirect ? serverPort : proxyPort
      const task = { port, connections: CONNECTIONS, atATime: AT_A_TIME, close }
      const client = await namespace().perform('websocket-client', task)
      expect(client).toEqual({ echoed: CONNECTIONS, closed: CONNECTIONS, errors: {} })
      await expectAllDelivered(...(isDirect ? [server] : [proxy, server]))
      const made = (await namespace().timeWaitsMade()) - before
      expect(made % 2).toBe(0)
      expect(made / 2).toBeLessThanOrEqual((hops * CONNECTIONS) / 200)
    })
  },
)
