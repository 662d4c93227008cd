/** Every client of this package that takes a tuning holds to one contract. */
import { once } from 'node:events'
import * as http from 'node:http'
import * as https from 'node:https'
import type * as net from 'node:net'
import type * as tls from 'node:tls'
import { text } from 'node:stream/consumers'
import { Connector, type TuningOptions } from '../../lib'
import { tunedAutocannon } from '../../lib/clients/autocannon'
import { TunedAgent, TunedHttpsAgent } from '../../lib/clients/http'
import { tunedConnector } from '../../lib/clients/undici'
import { describeClient, type TunedClient } from '../helpers/client-contract'
import { describeReleases } from './undici-releases'

async function answerTo(request: http.ClientRequest): Promise<string> {
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  return text(response)
}

describeClient('TunedAgent and TunedHttpsAgent', (tuning, ca) => {
  const plain = new TunedAgent(tuning)
  const secure = new TunedHttpsAgent({ ...tuning, ca, servername: 'localhost' })
  return {
    get: (url) =>
      answerTo(
        url.startsWith('https:')
          ? https.get(url, { agent: secure })
          : http.get(url, { agent: plain }),
      ),
    close: () => {
      plain.destroy()
      secure.destroy()
    },
  }
})

describeClient('a Connector by itself', (tuning, ca) => {
  const connector = new Connector(tuning)
  const sockets: net.Socket[] = []
  // Without an agent Node asks the server to close.
  const headers = { connection: 'keep-alive' }
  const kept = <S extends net.Socket>(socket: S): S => {
    sockets.push(socket)
    return socket
  }
  const connect = (options: object): net.Socket =>
    kept(connector.connect(options as net.NetConnectOpts))
  const connectTls = (options: object): net.Socket =>
    kept(connector.connectTls(options as tls.ConnectionOptions & net.NetConnectOpts))
  return {
    get: (url) =>
      answerTo(
        url.startsWith('https:')
          ? https.get(url, { ca, servername: 'localhost', createConnection: connectTls, headers })
          : http.get(url, { createConnection: connect, headers }),
      ),
    close: () => {
      for (const socket of sockets) socket.destroy()
    },
  }
})

/** autocannon says what became of its connections, and throws nothing. */
function autocannonBy(tuning: TuningOptions): TunedClient {
  const get = async (url: string): Promise<void> => {
    const options = { url, connections: 1, amount: 1, servername: 'localhost' }
    const { sockets } = await tunedAutocannon(options, tuning)
    const [[code, failure] = []] = Object.entries(sockets.failures)
    if (failure !== undefined) throw Object.assign(new Error(failure.message), { code })
  }
  // Its options are checked when a run begins.
  new Connector(tuning)
  return { get, close: () => undefined }
}

describeClient('autocannon', autocannonBy)

describeReleases('Agent', (load) => {
  describeClient('an Agent by tunedConnector()', (tuning, ca) => {
    const connect = tunedConnector({ ...tuning, ca, servername: 'localhost' })
    const client = load().then(({ Agent, request }) => {
      const dispatcher = new Agent({ connect })
      return { dispatcher, request }
    })
    return {
      get: async (url) => {
        const { dispatcher, request } = await client
        const { body } = await request(url, { dispatcher })
        return body.text()
      },
      close: async () => (await client).dispatcher.close(),
    }
  })
})
