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

describe('tunedAutocannon refuses before anything is started', () => {
  it.each<[string, unknown, unknown, string]>([
    ['options that are none', 'http://127.0.0.1/', {}, 'ERR_INVALID_ARG_TYPE'],
    ['a tuning that is none', { url }, 'deliver', 'ERR_INVALID_ARG_TYPE'],
    ['an unknown setting', { url }, { settings: { TCP_MAXSAG: 1 } }, unknownOption],
    ['a setting out of range', { url }, { settings: { TCP_MAXSEG: -1 } }, 'ERR_OUT_OF_RANGE'],
    ['an unknown close mode', { url }, { close: 'rst' }, 'ERR_INVALID_ARG_VALUE'],
    ['a source that is no address', { url }, { source: 'localhost' }, 'ERR_INVALID_ARG_VALUE'],
    ['no source at all', { url }, { source: [] }, 'ERR_INVALID_ARG_VALUE'],
    ['sources of both families', { url }, { source: ['127.0.0.1', '::1'] }, addressFamily],
    ['a source that is a number', { url }, { source: 1 }, 'ERR_INVALID_ARG_TYPE'],
    ['a source of another family', { url }, { source: '::1' }, addressFamily],
    ['a pool of another family', { url: [url] }, { source: ipv6 }, addressFamily],
    ['the same without a scheme', { url: '127.0.0.1' }, { source: ['::1'] }, addressFamily],
    ['the other way round', { url: 'http://[::1]/' }, { source: '127.0.0.1' }, addressFamily],
    ['a range that is none', { url }, { portRange: 1024 }, 'ERR_INVALID_ARG_TYPE'],
    [
      'settings of a unix-domain socket',
      { socketPath: '/tmp/none' },
      { settings: { TCP_MAXSEG: 1000 } },
      'ERR_SOCKET_TUNER_WRONG_SOCKET',
    ],
    ['a setupClient that is none', { url, setupClient: 1 }, {}, 'ERR_INVALID_ARG_TYPE'],
    ['a function for workers', { url, workers: 2, setupClient }, {}, 'ERR_INVALID_ARG_TYPE'],
    ['a module that is not there', { url, setupClient: '/none.js' }, {}, 'MODULE_NOT_FOUND'],
  ])('%s', (_, options, tuning, code) => {
    const autocannon = jest.fn()
    const all = typeof tuning === 'object' ? { autocannon, ...tuning } : tuning
    const call = () => tunedAutocannon(options as AutocannonOptions, all as AutocannonTuning)
    expect(failureOf(call)).toMatchObject({ code })
    expect(autocannon).not.toHaveBeenCalled()
  })

  it('and autocannon itself what it does not understand', async () => {
    const refusal = 'connections can not be less than 1'
    await expect(tunedAutocannon({ url, connections: 0 })).rejects.toThrow(refusal)
  })

  it('a module that is no function', () => {
    const tuning = { autocannon: {} } as unknown as AutocannonTuning
    expect(() => tunedAutocannon({ url }, tuning)).toThrow(coded('ERR_INVALID_ARG_TYPE'))
  })

  it('to run where autocannon is not installed', () => {
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

/** An autocannon whose clients connect as `connect` says. */
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

describe('tunedAutocannon with a release of autocannon that connects', () => {
  const unsupported = coded('ERR_SOCKET_TUNER_UNSUPPORTED')

  it('by another method is refused before it connects', () => {
    expect(() => tunedAutocannon({ url }, { autocannon: unknownRelease() })).toThrow(unsupported)
  })

  it('by another function is refused, and the connection is ended', async () => {
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

  it('by calls of net.connect() that are not understood fails with the reason', () => {
    const autocannon = unknownRelease(function () {
      this.conn = net.connect({ host: 1 } as unknown as net.TcpNetConnectOpts)
    })
    const failure = failureOf(() => tunedAutocannon({ url }, { autocannon }))
    expect(failure).toMatchObject({ code: 'ERR_MISSING_ARGS' })
  })

  it('leaves net.connect() as it was', async () => {
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
