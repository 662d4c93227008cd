/** One exchange before a run, so that a target that cannot be measured fails the run at once, with the reason. */
import { connectorOf } from '../connect/connector'
import { SocketTunerError } from '../errors'
import { circumstancesOf } from './circumstances'
import { Connection, type Circumstances, type ConnectionOwner } from './connection'
import { openWires } from './open-wires'
import { tuningIn, type CheckedStress } from './options'
import { Recorder, errorCodeOf } from './recorder'
import type { StressError, StressTargetInfo } from './result'

/**
 * @returns when the target has answered and the connection is closed
 * @throws (as a rejection) SocketTunerError with the code of the failure: an errno name, ERR_SOCKET_TUNER_STRESS_TARGET
 *   for a target that is silent, closes early or does not speak the protocol, or the code of Node's TLS
 */
export async function probe(options: CheckedStress, target: StressTargetInfo): Promise<void> {
  const recorder = new Recorder()
  recorder.countsFrom = 0
  // Closes of the probe do not count in the run.
  const wires = openWires(options, target, connectorOf(tuningIn(options)), () => undefined)
  try {
    await exchange(
      {
        ...circumstancesOf(options),
        requestsPerConnection: 1,
        wires,
        recorder,
        sample: undefined,
      },
      options.signal,
    )
  } finally {
    wires.close()
  }
  const [error] = recorder.errors
  if (error !== undefined && options.signal?.aborted !== true) throw failureOf(error, target)
}

/** Resolves when the connection is closed. */
function exchange(circumstances: Circumstances, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const owner: ConnectionOwner = {
      ready: (ready) => {
        // `close()` looks at the state, which is set by the time that this is called.
        ready.close()
      },
      settled: () => undefined,
      unavailable: () => undefined,
      closed: () => {
        clearInterval(checks)
        signal?.removeEventListener('abort', abort)
        resolve()
      },
    }
    let connection: Connection
    try {
      connection = new Connection(circumstances, owner, performance.now())
    } catch (error) {
      const failure = error as NodeJS.ErrnoException
      circumstances.recorder.error(0, errorCodeOf(failure), 'connect', failure.message)
      resolve()
      return
    }
    const abort = (): void => {
      connection.abort()
    }
    const checks = setInterval(
      () => {
        connection.checkDeadline(performance.now())
      },
      Math.max(1, Math.min(100, circumstances.timeoutMs / 10)),
    )
    signal?.addEventListener('abort', abort)
    if (signal?.aborted === true) abort()
  })
}

const ours = [
  'CONNECT_TIMEOUT',
  'ANSWER_TIMEOUT',
  'CLOSED_EARLY',
  'BAD_ANSWER',
  'WRONG_PROTOCOL',
  'CLOSE_TIMEOUT',
  'SOURCE_UNAVAILABLE',
]

function failureOf({ code, phase, message }: StressError, target: StressTargetInfo): Error {
  const { url, address, port, protocol } = target
  const isOurs = ours.includes(code)
  const fix = fixFor(code, phase, protocol)
  return new SocketTunerError(
    `${url} (${address} port ${String(port)}) cannot be measured: ${whyOf(code, message, protocol)}${fix === undefined ? '' : `. ${fix}`}`,
    { code: isOurs ? 'ERR_SOCKET_TUNER_STRESS_TARGET' : code, address, port },
  )
}

function whyOf(code: string, message: string, protocol: string): string {
  if (noTls.includes(code)) return `it does not speak TLS (${message})`
  switch (code) {
    case 'ECONNREFUSED':
      return 'it refuses connections; nothing listens on this port'
    case 'ECONNRESET':
      return 'it resets the connection'
    case 'BAD_ANSWER':
      return protocol === 'tcp' || protocol === 'tls'
        ? `its answer is not the expected one (${message})`
        : `its answer is not HTTP/1.1 (${message})`
    default:
      return message
  }
}

function fixFor(code: string, phase: string, protocol: string): string | undefined {
  switch (code) {
    case 'ECONNREFUSED':
      return 'Start the server, or correct the port'
    case 'CONNECT_TIMEOUT':
      return 'Check the address and the firewalls in between, or raise the timeout (timeoutMs, --timeout)'
    case 'ANSWER_TIMEOUT':
      return 'Check that it speaks this protocol, or raise the timeout (timeoutMs, --timeout)'
    case 'CLOSE_TIMEOUT':
      return "It does not close after its answer: use another close than 'server'"
    case 'WRONG_PROTOCOL':
      return 'Offer it http/1.1 only (alpnProtocols, --alpn)'
    case 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL':
      return 'It speaks none of the protocols that it was offered: name one that it does (alpnProtocols, --alpn)'
    case 'BAD_ANSWER':
    case 'CLOSED_EARLY':
    case 'ECONNRESET':
      return protocol === 'http' ? 'Check that it is not an https server' : undefined
    case 'EMFILE':
    case 'ENFILE':
      return "Raise 'ulimit -n'"
    default:
      return phase === 'tls' ? tlsFix(code) : undefined
  }
}

/** The codes for bytes that are no TLS: of OpenSSL until 3.1, and of later ones. */
const noTls = ['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG']

/** Codes of X509_V_ERR_*, as Node names them, for an authority that is not trusted. */
const untrusted = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]

function tlsFix(code: string): string {
  const anyCertificate = 'accept any certificate (rejectUnauthorized: false, --insecure)'
  if (untrusted.includes(code)) return `Trust its authority (ca, --ca), or ${anyCertificate}`
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return `Use a name that its certificate has (servername, --servername), or ${anyCertificate}`
  if (code.startsWith('CERT_')) return `Renew its certificate, or ${anyCertificate}`
  if (noTls.includes(code)) return 'Check that it is not an http or tcp server'
  return 'Check the TLS settings of the target, ca (--ca) and servername (--servername)'
}
