/** Tunes the servers of the process. */
import * as net from 'node:net'
import { native } from '../kernel/binding'
import type { PolicyOptions } from '../close/mode'
import { serverPolicyOf, setServerPolicy, type ServerPolicy } from '../close/server-policy'
import { endpoint } from '../connect/address'
import { hasLimits, noLimits, speaksHttp, type ConnectionLimits } from '../server/connection-limits'
import { retirementOf } from '../server/retirement'
import { tuneListening, type ServerTuning } from '../server/tune-server'
import { isInPrimary, whenTakenByCluster } from '../node/cluster'
import { followListens } from '../node/every-socket'
import { handleOf } from '../node/handle'
import { listenBacklogLimit } from '../kernel/proc'
import { setOption } from '../options/access'
import type { Settings } from '../options/option'
import { admissible, type FamilySettings } from './admissible'
import { closesText } from './closes'
import type { ServersConfiguration } from './config'
import { causeOf, reportText, type Log } from './log'

/** The tuning of one server. */
interface KnownServer {
  policy?: ServerPolicy
  settings?: ServerTuning
}

export class Servers {
  readonly #configuration: ServersConfiguration
  readonly #settings: FamilySettings
  readonly #log: Log
  readonly #known = new WeakMap<net.Server, KnownServer>()
  readonly #onListening: (this: net.Server) => void
  #tuned = 0
  /** For the summary. Filled only with SOCKET_TUNER_DEBUG, because a policy keeps its server alive. */
  readonly #policies = new Map<string, ServerPolicy>()

  constructor(configuration: ServersConfiguration, log: Log) {
    this.#configuration = configuration
    this.#log = log
    this.#settings = admissible('servers.settings', configuration.settings, log)
    const tune = this.#tune.bind(this)
    this.#onListening = function onListening() {
      tune(this)
    }
  }

  /** Tunes every server that calls listen() from now on. */
  install(): void {
    followListens((server) => {
      this.#beforeListening(server)
    })
  }

  get summary(): string[] {
    const closes = [...this.#policies].map(
      ([at, policy]) => `server ${at}: ${closesText(policy.counters())}`,
    )
    return [...closes, `servers: ${String(this.#tuned)} tuned`]
  }

  #beforeListening(server: net.Server): void {
    // An earlier listen() may have failed.
    server.off('listening', this.#onListening)
    if (handleOf(server) === undefined) server.prependOnceListener('listening', this.#onListening)
    else this.#tune(server)
  }

  /** Tunes a listening server. Never throws, because the program does not expect it. */
  #tune(server: net.Server): void {
    const address = server.address()
    // A server on a unix-domain socket is not tuned.
    if (address === null || typeof address === 'string') return
    const family = net.isIP(address.address) === 6 ? 6 : 4
    const at = endpoint(address.address, address.port)
    const { backlog, match, policy, limits } = this.#configuration
    if (!match.has(address.address, address.port, family)) {
      this.#log.line(`server ${at}: not in servers.match`)
      return
    }
    this.#tuned++
    const known = this.#known.get(server) ?? {}
    this.#known.set(server, known)
    const done = [
      this.#try(at, () => this.#setOptions(server, known, this.#settings[family])),
      backlog === undefined ? '' : this.#try(at, () => setBacklog(server, backlog)),
      policy === undefined
        ? ''
        : this.#try(at, () => this.#setCloseMode(server, known, at, policy)),
      hasLimits(limits) ? this.#try(at, () => setLimits(server, limits)) : '',
    ]
    this.#log.line(`server ${at}: ${done.filter((part) => part !== '').join('; ')}`)
    this.#log.counted()
  }

  #try(at: string, action: () => string): string {
    try {
      return action()
    } catch (error) {
      const { message } = error as Error
      this.#log.trouble(causeOf(error), `server ${at}: ${message}`)
      return ''
    }
  }

  #setOptions(server: net.Server, known: KnownServer, settings: Settings): string {
    known.settings?.stop()
    if (isInPrimary(server) && Object.keys(settings).length > 0)
      return 'the primary process sets the options'
    known.settings = tuneListening(server, settings)
    return reportText(known.settings.report ?? {})
  }

  #setCloseMode(server: net.Server, known: KnownServer, at: string, policy: PolicyOptions): string {
    // The program has set a close mode itself.
    if (known.policy === undefined && serverPolicyOf(server) !== undefined)
      return 'closes: as set by the program'
    if (known.policy === undefined) {
      known.policy = setServerPolicy(server, policy, () => {
        this.#log.counted()
      })
      if (this.#log.debug) this.#policies.set(at, known.policy)
    }
    if (policy.mode.inherited) takeBackFromCluster(server, known.policy)
    return `closes: ${policy.mode.name}`
  }
}

function setLimits(server: net.Server, limits: ConnectionLimits): string {
  if (!speaksHttp(server)) return 'limits: not an HTTP server'
  const retirement = retirementOf(server)
  // The program has set limits itself.
  if (retirement.limits !== noLimits && retirement.limits !== limits)
    return 'limits: as set by the program'
  retirement.limit(limits)
  const { maxConnectionAgeMs: age, maxRequests: requests } = limits
  const parts = [
    age === undefined ? '' : `${String(age)} ms`,
    requests === undefined ? '' : `${String(requests)} requests`,
  ]
  return `connections end after ${parts.filter((part) => part !== '').join(' or ')}`
}

function setBacklog(server: net.Server, backlog: number): string {
  if (isInPrimary(server)) return ''
  const result = native.listenFd(handleOf(server)?.fd ?? -1, backlog)
  if (result < 0) return `backlog ${String(backlog)} refused (errno ${String(-result)})`
  const limit = listenBacklogLimit() ?? backlog
  const cut = limit < backlog ? ` cut to ${String(limit)} by net.core.somaxconn` : ''
  return `backlog ${String(backlog)}${cut}`
}

/**
 * If node:cluster listens in the primary process, the workers close the accepted connections. Each worker decides
 * for each connection, so the connections must not inherit the option from the listening socket.
 */
function takeBackFromCluster(server: net.Server, policy: ServerPolicy): void {
  whenTakenByCluster(server, (fd) => {
    policy.stop()
    setOption(fd, 'TCP_LINGER2', 0)
  })
}
