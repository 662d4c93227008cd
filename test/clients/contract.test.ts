/** The contract of test/helpers/client-contract.ts, for every client of this package. */
import { EventEmitter, once } from 'node:events'
import * as http from 'node:http'
import * as https from 'node:https'
import type * as net from 'node:net'
import type * as tls from 'node:tls'
import { text } from 'node:stream/consumers'
import { Connector, SourcePool, type CloseTotals, type TuningOptions } from '../../lib'
import { Plugin, type Script } from '../../lib/clients/artillery'
import { tunedAutocannon } from '../../lib/clients/autocannon'
import { TunedAgent, TunedHttpsAgent } from '../../lib/clients/http'
import { tunedConnector } from '../../lib/clients/undici'
import { readConfiguration } from '../../lib/register/config'
import { describeClient, type TunedClient } from '../helpers/client-contract'
import { Program } from '../helpers/program'
import { REGISTER } from '../register/registered'
import { closeLater } from '../sockets'
import { beginScenario, cleanUp } from './artillery-run'
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
  // Without an agent Node sends Connection: close.
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

/** autocannon reports failures in its result, and does not throw them. */
function autocannonBy(tuning: TuningOptions): TunedClient {
  const get = async (url: string): Promise<void> => {
    const options = { url, connections: 1, amount: 1, servername: 'localhost' }
    const { sockets } = await tunedAutocannon(options, tuning)
    const [[code, failure] = []] = Object.entries(sockets.failures)
    if (failure !== undefined) throw Object.assign(new Error(failure.message), { code })
  }
  // tunedAutocannon() would check these options only when a run begins.
  new Connector(tuning)
  return { get, close: () => undefined }
}

describeClient('autocannon', autocannonBy)

describeClient('Artillery', async (tuning, ca) => {
  const script: Script = {
    config: { plugins: { 'socket-tuner': tuning } },
    scenarios: [{}],
  }
  const plugin = new Plugin(script)
  const user = {
    _httpAgent: new http.Agent({ keepAlive: true }),
    _httpsAgent: new https.Agent({ keepAlive: true, ca, servername: 'localhost' }),
  }
  await beginScenario(script, user, new EventEmitter())
  return {
    get: (url) =>
      answerTo(
        url.startsWith('https:')
          ? https.get(url, { agent: user._httpsAgent })
          : http.get(url, { agent: user._httpAgent }),
      ),
    close: () => cleanUp(plugin),
  }
})

/** Returns the tuning as a configuration of register. JSON has no pools. */
function configurationOf({ source, ...tuning }: TuningOptions): string {
  const addresses = source instanceof SourcePool ? source.addresses : source
  return JSON.stringify({ clients: { ...tuning, source: addresses } })
}

/** Returns the error with a code that the error about a configuration has as its cause. */
function codedCauseOf(error: unknown): unknown {
  const { code, cause } = error as NodeJS.ErrnoException
  return code === undefined && cause !== undefined ? codedCauseOf(cause) : error
}

/** A program without a reference to this library. Warnings of register count as errors here. */
describeClient(
  'register',
  async (tuning, ca) => {
    const text = configurationOf(tuning)
    try {
      // A program with an invalid configuration would not start.
      readConfiguration({ name: 'SOCKET_TUNER', text })
    } catch (error) {
      throw codedCauseOf(error)
    }
    const under = ['env', `NODE_OPTIONS=--require=${REGISTER}`, `SOCKET_TUNER=${text}`] as const
    const program = new Program('plain-http-client', { ca }, under)
    closeLater(() => void program.stop())
    await program.ready()
    const get = async (url: string): Promise<void> => {
      const { warnings } = (await program.ask('get', url)) as { warnings: string[] }
      const [message] = warnings
      if (message !== undefined)
        throw Object.assign(new Error(message), { code: /\bE[A-Z]+\b/.exec(message)?.[0] })
    }
    return {
      get,
      close: () => program.ask('close'),
      totals: async () => (await program.ask('totals')) as CloseTotals,
    }
  },
  { waitsForPorts: false },
)

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
