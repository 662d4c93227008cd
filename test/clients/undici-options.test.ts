import { tunedConnector, type TunedConnectorOptions } from '../../lib/clients/undici'
import { failureOf } from '../sockets'

/** Calls tunedConnector() without type checks, as from JavaScript. */
function make(options: unknown): unknown {
  return tunedConnector(options as TunedConnectorOptions)
}

describe('tunedConnector() throws', () => {
  it.each([
    ['ERR_INVALID_ARG_TYPE', null],
    ['ERR_INVALID_ARG_TYPE', 'deliver'],
    ['ERR_INVALID_ARG_TYPE', { settings: null }],
    ['ERR_INVALID_ARG_TYPE', { settings: { TCP_NODELAY: 1 } }],
    ['ERR_SOCKET_TUNER_UNKNOWN_OPTION', { settings: { TCP_NO_DELAY: true } }],
    ['ERR_INVALID_ARG_VALUE', { close: 'abort' }],
    ['ERR_INVALID_ARG_TYPE', { close: { mode: 'fin', requireTimestamps: 'no' } }],
    ['ERR_INVALID_ARG_TYPE', { source: 4 }],
    ['ERR_INVALID_ARG_VALUE', { source: 'localhost' }],
    ['ERR_OUT_OF_RANGE', { portRange: { min: 2, max: 1 } }],
    ['ERR_INVALID_ARG_TYPE', { timeout: '10' }],
    ['ERR_OUT_OF_RANGE', { timeout: -1 }],
    ['ERR_OUT_OF_RANGE', { timeout: NaN }],
    ['ERR_OUT_OF_RANGE', { timeout: 2 ** 31 }],
    ['ERR_OUT_OF_RANGE', { maxCachedSessions: -1 }],
    ['ERR_OUT_OF_RANGE', { maxCachedSessions: 1.5 }],
    ['ERR_INVALID_ARG_TYPE', { allowH2: 'yes' }],
    ['ERR_INVALID_ARG_TYPE', { preferH2: 1 }],
    ['ERR_INVALID_ARG_TYPE', { useH2c: 1 }],
    ['ERR_INVALID_ARG_TYPE', { keepAlive: 60 }],
    ['ERR_OUT_OF_RANGE', { keepAliveInitialDelay: -1 }],
    ['ERR_OUT_OF_RANGE', { autoSelectFamilyAttemptTimeout: 0 }],
    ['ERR_INVALID_ARG_TYPE', { lookup: '127.0.0.1' }],
    ['ERR_INVALID_ARG_VALUE', { family: 5 }],
    ['ERR_INVALID_ARG_VALUE', { localAddress: 'localhost' }],
    ['ERR_INVALID_ARG_VALUE', { localAddress: '127.0.0.1', source: '127.0.0.2' }],
    ['ERR_SOCKET_TUNER_ADDRESS_FAMILY', { localAddress: '127.0.0.1', family: 6 }],
    ['ERR_SOCKET_TUNER_ADDRESS_FAMILY', { source: '::1', family: 4 }],
    ['ERR_OUT_OF_RANGE', { localPort: 65536 }],
    ['ERR_INVALID_ARG_TYPE', { socketPath: 1 }],
    ['ERR_SOCKET_TUNER_WRONG_SOCKET', { socketPath: '/run/a', settings: { IP_TTL: 61 } }],
    ['ERR_INVALID_ARG_VALUE', { socketPath: '/run/a', source: '127.0.0.2' }],
    ['ERR_INVALID_ARG_TYPE', { servername: 1 }],
    ['ERR_INVALID_ARG_TYPE', { rejectUnauthorized: 'no' }],
    ['ERR_INVALID_ARG_TYPE', { checkServerIdentity: true }],
    ['ERR_INVALID_ARG_TYPE', { ALPNProtocols: 'h2' }],
    ['ERR_INVALID_ARG_TYPE', { ALPNProtocols: [2] }],
    ['ERR_INVALID_ARG_TYPE', { ca: 1 }],
    ['ERR_OSSL_PEM_NO_START_LINE', { cert: 'no certificate' }],
    ['ERR_TLS_INVALID_PROTOCOL_VERSION', { minVersion: 'TLSv9' }],
  ])('%s for %o', (code, options) => {
    expect(failureOf(() => make(options)).code).toBe(code)
  })

  it('an error that names the option', () => {
    expect(failureOf(() => make({ timeout: '10' })).message).toContain('"options.timeout"')
    expect(failureOf(() => make({ lookup: 1 })).message).toContain('"options.lookup"')
  })
})

describe('tunedConnector() accepts', () => {
  it.each([
    [undefined],
    [{}],
    [{ timeout: null, maxCachedSessions: null, socketPath: null, allowH2: null, keepAlive: null }],
    [{ timeout: 0, maxCachedSessions: 0, keepAliveInitialDelay: 0 }],
    [{ close: undefined, settings: undefined, source: undefined }],
    [{ close: 'fin', socketPath: '/run/a', settings: { SO_SNDBUF: 50_000 } }],
    [{ ALPNProtocols: Buffer.from('\x02h2') }],
  ])('%o', (options) => {
    expect(make(options)).toBeInstanceOf(Function)
  })
})
