import { EventEmitter, once } from 'node:events'
import * as net from 'node:net'
import { SocketTunerError, SourcePool } from '../../lib'
import {
  tunedAutocannon,
  type Autocannon,
  type AutocannonOptions,
  type AutocannonTuning,
} from '../../lib/clients/autocannon'
import { coded } from '../helpers/coded'
import { destroyLater, failureOf, listen } from '../sockets'

const url = 'http://127.0.0.1:1/'
const setupClient = (): void => undefined
const ipv6 = new SourcePool(['::1'])

const unknownOption = 'ERR_SOCKET_TUNER_UNKNOWN_OPTION'
const addressFamily = 'ERR_SOCKET_TUNER_ADDRESS_FAMILY'

describe('tunedAutocannon() starts nothing, and refuses', () => {
  it.each<[string, unknown, unknown, string]>([
    ['options that are not an object', 'http://127.0.0.1/', {}, 'ERR_INVALID_ARG_TYPE'],
    ['an invalid tuning', { url }, 'deliver', 'ERR_INVALID_ARG_TYPE'],
    ['an unknown setting', { url }, { settings: { TCP_MAXSAG: 1 } }, unknownOption],
    ['a setting out of range', { url }, { settings: { TCP_MAXSEG: -1 } }, 'ERR_OUT_OF_RANGE'],
    ['an unknown close mode', { url }, { close: 'rst' }, 'ERR_INVALID_ARG_VALUE'],
    ['a source that is not an address', { url }, { source: 'localhost' }, 'ERR_INVALID_ARG_VALUE'],
    ['an empty list of sources', { url }, { source: [] }, 'ERR_INVALID_ARG_VALUE'],
    ['sources of both families', { url }, { source: ['127.0.0.1', '::1'] }, addressFamily],
    ['a source that is a number', { url }, { source: 1 }, 'ERR_INVALID_ARG_TYPE'],
    ['a source of another family', { url }, { source: '::1' }, addressFamily],
    ['a pool of another family', { url: [url] }, { source: ipv6 }, addressFamily],
    [
      'an IPv6 source for an IPv4 address without a scheme',
      { url: '127.0.0.1' },
      { source: ['::1'] },
      addressFamily,
    ],
    [
      'an IPv4 source for an IPv6 address',
      { url: 'http://[::1]/' },
      { source: '127.0.0.1' },
      addressFamily,
    ],
    ['an invalid port range', { url }, { portRange: 1024 }, 'ERR_INVALID_ARG_TYPE'],
    [
      'settings of a unix-domain socket',
      { socketPath: '/tmp/none' },
      { settings: { TCP_MAXSEG: 1000 } },
      'ERR_SOCKET_TUNER_WRONG_SOCKET',
    ],
    ['an invalid setupClient', { url, setupClient: 1 }, {}, 'ERR_INVALID_ARG_TYPE'],
    ['a function for workers', { url, workers: 2, setupClient }, {}, 'ERR_INVALID_ARG_TYPE'],
    ['a missing module', { url, setupClient: '/none.js' }, {}, 'MODULE_NOT_FOUND'],
  ])('%s', (_, options, tuning, code) => {
    const autocannon = jest.fn()
    const all = typeof tuning === 'object' ? { autocannon, ...tuning } : tuning
    const call = () => tunedAutocannon(options as AutocannonOptions, all as AutocannonTuning)
    expect(failureOf(call)).toMatchObject({ code })
    expect(autocannon).not.toHaveBeenCalled()
  })

  it('options that autocannon itself does not know', async () => {
    const refusal = 'connections can not be less than 1'
    await expect(tunedAutocannon({ url, connections: 0 })).rejects.toThrow(refusal)
  })

  it('a module that does not export a function', () => {
    const tuning = { autocannon: {} } as unknown as AutocannonTuning
    expect(() => tunedAutocannon({ url }, tuning)).toThrow(coded('ERR_INVALID_ARG_TYPE'))
  })

  it('to run if autocannon is not installed', () => {
    const cause = Object.assign(new Error('Cannot find it'), { code: 'MODULE_NOT_FOUND' })
    jest.doMock('autocannon', () => {
      throw cause
    })
    try {
      const error = failureOf(() => tunedAutocannon({ url }))
      expect(error).toBeInstanceOf(SocketTunerError)
      expect(error).toMatchObject({ code: 'ERR_SOCKET_TUNER_UNSUPPORTED', cause })
      expect(error.message).toContain('npm install autocannon')
    } finally {
      jest.dontMock('autocannon')
    }
  })
})

interface UnknownOptions {
  setupClient: (client: object) => void
}

/** Makes a stand-in for autocannon whose clients connect with `connect`. */
function unknownRelease(connect?: (this: UnknownClient) => void): Autocannon {
  const start = ({ setupClient }: UnknownOptions): EventEmitter => {
    const client = new UnknownClient()
    if (connect !== undefined) client._connect = connect
    setupClient(client)
    client._connect?.()
    return new EventEmitter()
  }
  return start
}

class UnknownClient {
  destroyed = false
  conn: net.Socket | undefined
  _connect?: () => void

  destroy(): void {
    this.destroyed = true
    this.conn?.destroy()
  }
}

describe('tunedAutocannon() with an unknown release of autocannon', () => {
  const unsupported = coded('ERR_SOCKET_TUNER_UNSUPPORTED')

  it('refuses a release that connects in another method, before it connects', () => {
    expect(() => tunedAutocannon({ url }, { autocannon: unknownRelease() })).toThrow(unsupported)
  })

  it('refuses a release that connects with another function, and closes the connection', async () => {
    const server = net.createServer()
    const port = await listen(server)
    let conn: net.Socket | undefined
    const autocannon = unknownRelease(function () {
      conn = this.conn = new net.Socket()
      conn.connect(port, '127.0.0.1')
    })
    const failure = failureOf(() => tunedAutocannon({ url }, { autocannon }))
    expect(failure).toMatchObject({ code: 'ERR_SOCKET_TUNER_UNSUPPORTED' })
    expect(failure.message).toContain('8 and 9 are supported')
    expect(conn?.destroyed).toBe(true)
  })

  it('passes on the error of net.connect() for invalid arguments', () => {
    const autocannon = unknownRelease(function () {
      this.conn = net.connect({ host: 1 } as unknown as net.TcpNetConnectOpts)
    })
    const failure = failureOf(() => tunedAutocannon({ url }, { autocannon }))
    expect(failure).toMatchObject({ code: 'ERR_MISSING_ARGS' })
  })

  it('restores net.connect() if the release throws', async () => {
    const server = net.createServer()
    const port = await listen(server)
    const autocannon = unknownRelease(() => {
      throw new Error('not today')
    })
    expect(() => tunedAutocannon({ url }, { autocannon })).toThrow('not today')
    const socket = net.connect(port, '127.0.0.1')
    destroyLater(socket)
    await once(socket, 'connect')
  })
})
