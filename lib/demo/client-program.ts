/** The demo's client: a process of its own, which can run in another network namespace than the command. */
import {
  closeModeNames,
  configure,
  describeCloseMode,
  type CloseModeName,
  type PortRange,
} from '../index'
import {
  canConfine,
  leftoversOf,
  narrowRange,
  portsIn,
  readPortSettings,
  serverHost,
} from './client-ports'
import { DemoLoad } from './demo-load'
import { DEFAULT_PORTS, TW_REUSE, prepareNamespace } from './namespace'
import { endWithParent, sendToParent } from './parent'
import type {
  DemoPlace,
  DemoPlan,
  FromClient,
  ModePorts,
  ModeResult,
  ServerPorts,
} from './protocol'
import { ServerProcess } from './server-process'
import { SLOW_CONNECTIONS, writeToSlowReaders } from './slow-reader'

/** The server's lowest port in a namespace: below the ephemeral ports, which are the client's. */
const FIRST_PORT = 10_001
/** Enough to use up a narrowed range several times. */
const NARROWED_CONNECTIONS = 6_000
/** Where the range cannot be narrowed: most ports of the machine stay free. */
const FEW_CONNECTIONS = 3_000
/** The most connections in modes that hold a descriptor, which are for early answers and not for load. */
const HOLDING_CONNECTIONS = 1_000
/** Connections before each mode, so that V8 has compiled the code that is measured. */
const WARM_UP = { connections: 1_000, seconds: 1 }

function send(message: FromClient, sent?: () => void): void {
  sendToParent(message, sent)
}

class DemoClient {
  readonly #plan: DemoPlan
  readonly #host = serverHost()
  readonly #server: ServerProcess

  constructor(plan: DemoPlan) {
    this.#plan = plan
    this.#server = new ServerProcess(this.#host, plan.notNamespace === null ? 0 : FIRST_PORT)
  }

  async run(): Promise<void> {
    const servers = await this.#server.listening()
    const place =
      this.#plan.notNamespace === null ? await this.#onLoopback(servers) : this.#inNamespace()
    send({ type: 'place', place })
    for (const mode of closeModeNames) {
      send({ type: 'result', result: await this.#measure(mode, servers[mode], place) })
    }
  }

  stop(): Promise<void> {
    return this.#server.stop()
  }

  #inNamespace(): DemoPlace {
    return {
      kind: 'namespace',
      ports: DEFAULT_PORTS,
      narrowed: false,
      twReuse: TW_REUSE,
      connections: this.#plan.connections ?? portsIn(DEFAULT_PORTS),
    }
  }

  async #onLoopback(servers: ServerPorts): Promise<DemoPlace> {
    const taken = Object.values<ModePorts>(servers).flatMap(({ answer, warmUp, slow }) => [
      answer,
      warmUp,
      slow,
    ])
    const [port = 0] = taken
    const settings = await readPortSettings({ host: this.#host, port })
    const range = settings === undefined ? undefined : narrowRange(settings.ports, taken)
    const narrowed = range !== undefined && canConfine(range)
    return {
      kind: 'loopback',
      ports: (narrowed ? range : settings?.ports) ?? null,
      narrowed,
      twReuse: settings?.twReuse ?? null,
      connections: this.#plan.connections ?? (narrowed ? NARROWED_CONNECTIONS : FEW_CONNECTIONS),
    }
  }

  async #measure(mode: CloseModeName, ports: ModePorts, place: DemoPlace): Promise<ModeResult> {
    const confined = confinedTo(place)
    const host = this.#host
    await new DemoLoad({
      mode,
      confined,
      server: { host, port: ports.warmUp },
      connections: Math.min(place.connections, WARM_UP.connections),
      seconds: WARM_UP.seconds,
      progress: () => undefined,
    }).run()
    const server = { host, port: ports.answer }
    const load = await new DemoLoad({
      mode,
      confined,
      server,
      connections: connectionsIn(mode, place),
      seconds: this.#plan.seconds,
      ...(usesUpPorts(mode) ? { atLeast: collapseIn(place) } : {}),
      progress: (report) => {
        send({ type: 'progress', ...report })
      },
    }).run()
    if (load.connections === 0) throw new Error(noConnection(mode, load.clientErrors))
    const { errors } = await this.#server.settled(server.port, load.connections)
    const left = place.ports === null ? undefined : await leftoversOf(server, place.ports)
    const slow = { host, port: ports.slow }
    const writes = await writeToSlowReaders(mode, slow, confined)
    const { received } = await this.#server.settled(slow.port, SLOW_CONNECTIONS)
    return {
      mode,
      ...load,
      timeWait: left?.timeWait ?? null,
      portsFree:
        left === undefined || place.ports === null ? null : portsIn(place.ports) - left.used,
      serverErrors: errors,
      ...writes,
      received,
      lost: writes.written - received,
    }
  }
}

function confinedTo({ narrowed, ports }: DemoPlace): PortRange | undefined {
  return narrowed ? (ports ?? undefined) : undefined
}

function connectionsIn(mode: CloseModeName, { connections }: DemoPlace): number {
  const { holdsDescriptor } = describeCloseMode(mode)
  return holdsDescriptor ? Math.min(connections, HOLDING_CONNECTIONS) : connections
}

function usesUpPorts(mode: CloseModeName): boolean {
  const { keepsTimeWait, holdsDescriptor } = describeCloseMode(mode)
  return keepsTimeWait && !holdsDescriptor
}

/**
 * The number of connections after which the rate has collapsed. Once half of the ports are in use, each connect()
 * searches the other half.
 */
function collapseIn({ kind, ports }: DemoPlace): number {
  return kind === 'namespace' && ports !== null ? Math.ceil(0.54 * portsIn(ports)) : 0
}

function noConnection(mode: CloseModeName, errors: Readonly<Record<string, number>>): string {
  const codes = Object.keys(errors).join(', ')
  return `no connection could be made in mode '${mode}': ${codes === '' ? 'no port is free' : codes}`
}

async function main(plan: DemoPlan): Promise<void> {
  // The table reports the bytes that a reset discards, so no warning is needed.
  configure({ hazards: 'ignore' })
  if (plan.notNamespace !== null) {
    try {
      prepareNamespace(plan.notNamespace)
    } catch (error) {
      send({ type: 'refused', why: reason(error) }, () => process.exit())
      return
    }
  }
  const client = new DemoClient(plan)
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

void main(JSON.parse(process.argv[2] ?? '') as DemoPlan)
