/** Network namespaces, each with its own loopback interface and the sysctls that a test needs. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { Command, type CommandLine } from './command'
import { Program } from './program'
import {
  countStates,
  type End,
  extendedCounter,
  type StateCounts,
  timeWaitPorts,
} from './tcp-table'
import { until } from './until'

const run = promisify(execFile)
const MAX_OUTPUT = 64 * 2 ** 20

/**
 * Settings under which the TIME_WAIT entry of each connection can be counted: none is reused, dropped, or ended by a
 * RST in response to a late retransmission (RFC 1337).
 */
const countable = {
  'net.ipv4.tcp_tw_reuse': '0',
  'net.ipv4.tcp_max_tw_buckets': '262144',
  'net.ipv4.tcp_rfc1337': '1',
}

let made = 0

export class Namespace {
  readonly name: string
  readonly #remover: ChildProcess
  readonly #running: { stop: () => Promise<void> }[] = []

  constructor(sysctls: Record<string, string> = {}) {
    const random = randomBytes(3).toString('hex')
    this.name = `socket-tuner-${String(process.pid)}-${String(++made)}-${random}`
    execFileSync('ip', ['netns', 'add', this.name])
    this.#remover = removeAtEnd(this.name)
    execFileSync('ip', ['-n', this.name, 'link', 'set', 'lo', 'up'])
    for (const [key, value] of Object.entries({ ...countable, ...sysctls })) this.sysctl(key, value)
  }

  /** Sets a sysctl of this namespace. */
  sysctl(key: string, value: string): void {
    const file = `/proc/sys/${key.replaceAll('.', '/')}`
    const [command, ...args] = this.prefix()
    execFileSync(command, [...args, 'sh', '-c', 'echo "$1" > "$2"', 'sh', value, file])
  }

  /** Returns the command line that runs a command in the namespace. */
  prefix(): CommandLine {
    return ['ip', 'netns', 'exec', this.name]
  }

  /** Runs a command in the namespace and returns its standard output. */
  async run(...inside: CommandLine): Promise<string> {
    const [command, ...args] = this.prefix()
    const { stdout } = await run(command, [...args, ...inside], { maxBuffer: MAX_OUTPUT })
    return stdout
  }

  /** Starts a command in the namespace that runs in parallel to the test. */
  spawn(...inside: CommandLine): Command {
    const [command, ...args] = this.prefix()
    const started = new Command([command, ...args, ...inside])
    this.#running.push(started)
    return started
  }

  /** Starts a program of test/lab/programs in the namespace and waits until it reports that it is ready. */
  async start(
    name: string,
    config: object = {},
    node?: CommandLine,
  ): Promise<{ program: Program; ready: unknown }> {
    const program = new Program(name, config, this.prefix(), node)
    this.#running.push(program)
    return { program, ready: await program.ready() }
  }

  /** As start(), for a server, which reports its port. */
  async serve(
    name: string,
    config: object = {},
    node?: CommandLine,
  ): Promise<{ server: Program; port: number }> {
    const { program, ready } = await this.start(name, config, node)
    return { server: program, port: (ready as { port: number }).port }
  }

  /** Runs a program with the single task `run` and returns its result. */
  async perform(name: string, config: object, node?: CommandLine): Promise<unknown> {
    const { program } = await this.start(name, config, node)
    const result = await program.ask('run')
    await program.stop()
    return result
  }

  async states(end: End): Promise<StateCounts> {
    return countStates(await this.#table(), end)
  }

  /** Counts the TIME_WAIT entries at one end, once all its connections have ended. */
  async timeWaits(end: End): Promise<number> {
    const { TIME_WAIT = 0 } = await until(
      'all connections ended',
      () => this.states(end),
      (states) => Object.keys(states).every((state) => state === 'TIME_WAIT'),
    )
    return TIME_WAIT
  }

  /** Returns the ports at the other end of the connections with TIME_WAIT at this end. */
  async timeWaitPorts(end: End): Promise<Set<number>> {
    await this.timeWaits(end)
    return timeWaitPorts(await this.#table(), end)
  }

  /**
   * Returns the number of TIME_WAIT entries that were created in this namespace, at either end. Unlike the number of
   * entries, it does not decrease when a new connection replaces one.
   */
  async timeWaitsMade(): Promise<number> {
    return extendedCounter(await this.run('cat', '/proc/net/netstat'), 'TW')
  }

  /** Stops all processes in the namespace and removes it. */
  async remove(): Promise<void> {
    await Promise.all(this.#running.map((running) => running.stop()))
    if (this.#remover.exitCode !== null) return
    this.#remover.stdin?.end()
    const [code] = (await once(this.#remover, 'exit')) as [number | null]
    if (code !== 0) throw new Error(`the namespace ${this.name} could not be removed`)
  }

  #table(): Promise<string> {
    return this.run('sh', '-c', 'cat /proc/net/tcp; test ! -e /proc/net/tcp6 || cat /proc/net/tcp6')
  }
}

/**
 * Removes a namespace when its standard input ends. A separate process, so that the namespace is also removed if the
 * tests are interrupted or killed.
 */
function removeAtEnd(name: string): ChildProcess {
  const script = 'read -r _; exec ip netns delete "$1"'
  return spawn('sh', ['-c', script, 'sh', name], {
    stdio: ['pipe', 'ignore', 'inherit'],
    detached: true,
  })
}

/** Creates a namespace for the suite that calls this. */
export function useNamespace(sysctls?: Record<string, string>): () => Namespace {
  let namespace: Namespace | undefined
  beforeAll(() => {
    namespace = new Namespace(sysctls)
  })
  afterAll(async () => {
    await namespace?.remove()
  })
  return () => {
    if (namespace === undefined) throw new Error('a namespace exists only while tests run')
    return namespace
  }
}

/** The interface at each end of the link. */
export const LINK = 'veth0'
export const LEFT = '10.0.0.1'
export const RIGHT = '10.0.0.2'

/** Creates two namespaces with a link between them, at the addresses LEFT and RIGHT. */
export function useLinkedNamespaces(): () => { left: Namespace; right: Namespace } {
  const left = useNamespace()
  const right = useNamespace()
  beforeAll(async () => {
    const [l, r] = [left(), right()]
    const peer = ['peer', 'name', LINK, 'netns', r.name]
    await l.run('ip', 'link', 'add', LINK, 'type', 'veth', ...peer)
    await setUp(l, LEFT)
    await setUp(r, RIGHT)
  })
  return () => ({ left: left(), right: right() })
}

async function setUp(namespace: Namespace, address: string): Promise<void> {
  await namespace.run('ip', 'address', 'add', `${address}/24`, 'dev', LINK)
  await namespace.run('ip', 'link', 'set', LINK, 'up')
}
