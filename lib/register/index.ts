/**
 * `node --require socket-tuner/register app.js`, or `--import`: tunes the client and server sockets of a process
 * without changes to its code, as configured by SOCKET_TUNER or socket-tuner.json. Worker threads load it too. An
 * invalid configuration ends the process before the program starts. After a later error, the affected socket stays
 * as Node creates it, with a warning.
 */
import { subscribe } from 'node:diagnostics_channel'
import type * as net from 'node:net'
import { followTlsConnects } from '../node/every-socket'
import { Clients } from './clients'
import { ConfigurationError, readConfiguration, type RegisterConfiguration } from './config'
import { FILE, findConfiguration, UnreadableFile, VARIABLE } from './find'
import { Log, write } from './log'
import { Servers } from './servers'
import { writeAtEnd } from './summary'

/** A mark on `process`, so that a second copy of this package does nothing. */
const INSTALLED = Symbol.for('socket-tuner/register')

const log = new Log(process.env.SOCKET_TUNER_DEBUG)

/** Ends the process (in a worker, the thread) if the configuration is invalid. */
function configuration(): RegisterConfiguration | undefined {
  try {
    const found = findConfiguration()
    if (found !== undefined) return readConfiguration(found)
    log.line(`nothing is tuned: neither ${VARIABLE} nor ${FILE} exists`)
    return undefined
  } catch (error) {
    if (!(error instanceof ConfigurationError || error instanceof UnreadableFile)) throw error
    write(`socket-tuner/register: ${error.message}\n`)
    process.exit(1)
  }
}

function install({ clients, servers, absent }: RegisterConfiguration): void {
  for (const text of absent) log.trouble(text, `${text}; it is ignored`)
  const tunedClients = clients === undefined ? undefined : new Clients(clients, log)
  const tunedServers = servers === undefined ? undefined : new Servers(servers, log)
  tunedClients?.install()
  tunedServers?.install()
  if (tunedClients !== undefined && clients?.policy !== undefined) followTls(tunedClients)
  if (!log.debug) return
  if (servers !== undefined) logAccepted()
  log.counted = writeAtEnd(() =>
    [tunedClients?.summary ?? [], tunedServers?.summary ?? []]
      .flat()
      .map((line) => log.format(line))
      .join(''),
  )
}

/** Handles tls.connect({ socket }), for example by agents for proxies, which opens no connection. */
function followTls(clients: Clients): void {
  followTlsConnects((socket) => {
    clients.addedTls(socket)
  })
}

function logAccepted(): void {
  subscribe('net.server.socket', (message) => {
    const { socket } = message as { socket: net.Socket }
    const { remoteAddress, remotePort, localAddress, localPort } = socket
    if (localAddress === undefined) return
    log.line(
      `accepted ${String(remoteAddress)} port ${String(remotePort)} at ${localAddress} port ${String(localPort)}`,
    )
  })
}

const marked = process as unknown as Record<symbol, true | undefined>
if (marked[INSTALLED] === undefined) {
  marked[INSTALLED] = true
  const found = configuration()
  if (found !== undefined) install(found)
}
