/** `socket-tuner/autocannon`: autocannon with tuned connections. */
import { isIP } from 'node:net'
import { isMainThread } from 'node:worker_threads'
import { wrongFamily, type IpFamily } from '../connect/address'
import { connectorOf, tuningOf } from '../connect/connector'
import type { Tuning } from '../connect/tuning'
import { checkUnix } from '../connect/connect-unix'
import { ArgumentTypeError, SocketTunerError, checkOptions } from '../errors'
import { CountedConnections } from './autocannon/counted-connections'
import { SharedCounters, type SocketCounters } from './autocannon/socket-counters'
import type { FailureCount } from './autocannon/failures'
import type {
  Autocannon,
  AutocannonCallback,
  AutocannonInstance,
  AutocannonOptions,
  AutocannonResult,
  AutocannonRun,
  AutocannonStatistics,
} from './autocannon/peer'
import { autocannonTuning, setupOf, TASK, taskOf, type AutocannonTuning } from './autocannon/setup'

export type {
  Autocannon,
  AutocannonTuning,
  AutocannonCallback,
  AutocannonInstance,
  AutocannonOptions,
  AutocannonResult,
  AutocannonRun,
  AutocannonStatistics,
  FailureCount,
  SocketCounters,
}

/**
 * Runs autocannon (8 and 9) with every connection tuned, also after a reconnect and in its worker threads: settings are
 * in force before connect(2), and connections are closed in a close mode. Takes autocannon's options and returns its
 * result, with `sockets` added. `sockets.failures` has the reasons of failed connections.
 *
 * A connection that fails at once, for example without a free port, is tried again in the next turn of the event loop,
 * so that the run can end.
 *
 * @throws before anything is started: ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_ADDRESS_FAMILY; ERR_SOCKET_TUNER_UNSUPPORTED for an option that this platform does not have, or if
 *   autocannon is not installed. With an unknown release of autocannon, the run fails with ERR_SOCKET_TUNER_UNSUPPORTED
 */
export function tunedAutocannon(
  options: AutocannonOptions,
  tuning?: AutocannonTuning,
): AutocannonRun
export function tunedAutocannon(
  options: AutocannonOptions,
  tuning: AutocannonTuning,
  callback: AutocannonCallback,
): AutocannonInstance
export function tunedAutocannon(
  options: AutocannonOptions,
  tuning: AutocannonTuning = {},
  callback?: AutocannonCallback,
): AutocannonInstance {
  checkOptions('options', options)
  const { autocannon, ...checked } = autocannonTuning.check('tuning', tuning)
  const connector = connectorOf(checked)
  checkDestinations(options, tuningOf(connector))
  const inWorkers = Boolean(options.workers) && isMainThread
  checkSetupClient(options.setupClient, inWorkers)
  const start = (autocannon ?? load()) as Start
  const counters = new SharedCounters()
  const own = inWorkers
    ? {
        setupClient: require.resolve('./autocannon/worker-setup'),
        [TASK]: taskOf(tuning, counters, options.setupClient),
      }
    : { setupClient: setupOf(new CountedConnections(connector, counters), options.setupClient) }
  const instance = start({ ...options, ...own }, callback)
  instance.on('done', (result) => {
    Object.defineProperty(result, 'sockets', {
      get: () => counters.read(),
      enumerable: true,
      configurable: true,
    })
  })
  return instance
}

/** The part of autocannon that is used here. */
type Start = (options: object, callback: AutocannonCallback | undefined) => AutocannonInstance

function load(): Start {
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- an optional peer, loaded only when it is used
    return require('autocannon') as Start
  } catch (cause) {
    throw new SocketTunerError(
      'autocannon could not be loaded: npm install autocannon, or pass the module as { autocannon }',
      { code: 'ERR_SOCKET_TUNER_UNSUPPORTED', cause },
    )
  }
}

function checkSetupClient(setupClient: unknown, inWorkers: boolean): void {
  if (setupClient === undefined || typeof setupClient === 'string') return
  const expected = 'the path of a module'
  if (inWorkers)
    throw new ArgumentTypeError('options.setupClient', `${expected}, with workers`, setupClient)
  if (typeof setupClient !== 'function')
    throw new ArgumentTypeError('options.setupClient', `a function or ${expected}`, setupClient)
}

/** Refuses in advance what connect() would refuse on each connection. */
function checkDestinations({ url, socketPath }: AutocannonOptions, tuning: Tuning): void {
  if (socketPath !== undefined) {
    checkUnix('options.socketPath', socketPath, tuning)
    return
  }
  const source = tuning.pool?.addresses[0] ?? tuning.localAddress
  if (source === undefined) return
  const urls: readonly unknown[] = Array.isArray(url) ? url : [url]
  for (const family of urls.map(familyOfUrl)) {
    if (family !== 0 && family !== tuning.family) throw wrongFamily('source', source, family)
  }
}

/** The family of the URL's address; 0 for a host name, and for a URL that autocannon will refuse. */
function familyOfUrl(url: unknown): IpFamily | 0 {
  if (typeof url !== 'string') return 0
  const whole = url.startsWith('http') ? url : `http://${url}`
  if (!URL.canParse(whole)) return 0
  const { hostname } = new URL(whole)
  return isIP(hostname.replace(/^\[(.*)\]$/, '$1')) as IpFamily | 0
}
