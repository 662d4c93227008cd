/** The demo's client: a process of its own, which the command can put in another network namespace. */
import { closeModeNames, configure, describeCloseMode, type CloseModeName } from '../../index'
import { sizeOf, systemPortRange, timeWaitReuse } from '../../kernel/proc'
import type { PreparedSettings } from '../../options/tune'
import { Load } from './load'
import type { FromClient, ModePorts, Place, Plan, Row, ServerPorts } from './messages'
import { DEFAULT_PORTS, prepareNamespace } from './namespace'
import { endWithParent, tellParent } from './parent'
import { confinement, leftoversOf, narrowRange, serverHost } from './ports'
import { ServerProcess } from './server-process'
import { SLOW_CONNECTIONS, writeToSlowReaders } from './slow-reader'

/** In a namespace of its own the server leaves the ephemeral ports to the client. */
const FIRST_PORT = 10_001
/** Enough to see narrowed ports run out several times. */
const NARROWED_CONNECTIONS = 6_000
/** Where ports cannot be narrowed: the machine keeps most of its own. */
const FEW_CONNECTIONS = 3_000
/** A lingering close is for early answers and keeps TIME_WAIT: it is shown, not driven to the end. */
const LINGERING_CONNECTIONS = 1_000
/** Before each mode, so that the first connections do not measure the compiler. */
const WARM_UP = { connections: 1_000, seconds: 1 }

function send(message: FromClient, sent?: () => void): void {
  tellParent(message, sent)
}

class Client {
  readonly #plan: Plan
  readonly #host = serverHost()
  readonly #server: ServerProcess
  #settings: PreparedSettings | undefined

  constructor(plan: Plan) {
    this.#plan = plan
    this.#server = new ServerProcess(this.#host, plan.notNamespace === null ? 0 : FIRST_PORT)
  }

  async run(): Promise<void> {
    const servers = await this.#server.listening()
    const place = this.#plan.notNamespace === null ? this.#onLoopback(servers) : this.#inNamespace()
    send({ type: 'place', place })
    for (const mode of closeModeNames) {
      send({ type: 'row', row: await this.#row(mode, servers[mode], place) })
    }
  }

  stop(): Promise<void> {
    return this.#server.stop()
  }

  #inNamespace(): Place {
    return {
      kind: 'namespace',
      ports: DEFAULT_PORTS,
      narrowed: false,
      twReuse: timeWaitReuse() ?? null,
      connections: this.#plan.connections ?? sizeOf(DEFAULT_PORTS),
    }
  }

  #onLoopback(servers: ServerPorts): Place {
    const all = systemPortRange() ?? null
    const taken = Object.values<ModePorts>(servers).flatMap(({ answer, warmUp, slow }) => [
      answer,
      warmUp,
      slow,
    ])
    const range = all === null ? undefined : narrowRange(all, taken)
    this.#settings = range === undefined ? undefined : confinement(range)
    const narrowed = this.#settings !== undefined
    return {
      kind: 'loopback',
      ports: narrowed && range !== undefined ? range : all,
      narrowed,
      twReuse: timeWaitReuse() ?? null,
      connections: this.#plan.connections ?? (narrowed ? NARROWED_CONNECTIONS : FEW_CONNECTIONS),
    }
  }

  async #row(mode: CloseModeName, servers: ModePorts, place: Place): Promise<Row> {
    const common = { mode, settings: this.#settings }
    const host = this.#host
    await new Load({
      ...common,
      server: { host, port: servers.warmUp },
      connections: Math.min(place.connections, WARM_UP.connections),
      seconds: WARM_UP.seconds,
      progress: () => undefined,
    }).run()
    const server = { host, port: servers.answer }
    const result = await new Load({
      ...common,
      server,
      connections: connectionsIn(mode, place),
      seconds: this.#plan.seconds,
      ...(usesUpPorts(mode) ? { atLeast: collapseIn(place) } : {}),
      progress: (report) => {
        send({ type: 'progress', ...report })
      },
    }).run()
    if (result.connections === 0) throw new Error(noConnection(mode, result.clientErrors))
    const seen = await this.#server.settled(server.port, result.connections)
    const left = place.ports === null ? null : await leftoversOf(server, place.ports)
    const slow = { host, port: servers.slow }
    const writes = await writeToSlowReaders(mode, slow, this.#settings)
    const { received } = await this.#server.settled(slow.port, SLOW_CONNECTIONS)
    return {
      mode,
      ...result,
      timeWait: left === null ? null : left.timeWait,
      portsFree: left === null || place.ports === null ? null : sizeOf(place.ports) - left.used,
      serverErrors: seen.errors,
      ...writes,
      received,
      lost: writes.written - received,
    }
  }
}

function connectionsIn(mode: CloseModeName, { connections }: Place): number {
  const { holdsDescriptor } = describeCloseMode(mode)
  return holdsDescriptor ? Math.min(connections, LINGERING_CONNECTIONS) : connections
}

function usesUpPorts(mode: CloseModeName): boolean {
  const { keepsTimeWait, holdsDescriptor } = describeCloseMode(mode)
  return keepsTimeWait && !holdsDescriptor
}

/**
 * With half of the ports in use connect() begins to search the other half: some connections more, and
 * the collapse shows.
 */
function collapseIn({ kind, ports }: Place): number {
  return kind === 'namespace' && ports !== null ? Math.ceil(0.54 * sizeOf(ports)) : 0
}

function noConnection(mode: CloseModeName, errors: Readonly<Record<string, number>>): string {
  const codes = Object.keys(errors).join(', ')
  return `no connection could be made in mode '${mode}': ${codes === '' ? 'no port is free' : codes}`
}

async function main(plan: Plan): Promise<void> {
  // What a reset throws away is in the table: no warning has to tell of it.
  configure({ hazards: 'ignore' })
  if (plan.notNamespace !== null) {
    try {
      prepareNamespace(plan.notNamespace)
    } catch (error) {
      send({ type: 'refused', why: reason(error) }, () => process.exit())
      return
    }
  }
  const client = new Client(plan)
  endWithParent(() => {
    void client.stop().then(() => process.exit())
  })
  let last: FromClient = { type: 'done' }
  try {
    await client.run()
  } catch (error) {
    last = { type: 'failed', why: reason(error) }
  }
  await client.stop()
  send(last, () => process.exit())
}

function reason(error: unknown): string {
  return error instanceof Error ? (error.message.trim().split('\n')[0] ?? '') : String(error)
}

void main(JSON.parse(process.argv[2] ?? '') as Plan)
