import { execFile } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import * as path from 'node:path'
import { promisify } from 'node:util'
import type { CommandLine } from '../helpers/command'
import { afterAllClosed, askAndWaitForEnd, wrkCommand } from '../helpers/http-runs'
import { labDescribe } from '../helpers/lab'
import { Namespace, useNamespace } from '../helpers/namespace'
import { Program } from '../helpers/program'
import { size } from '../helpers/size'

/** The package of the application suites, installed here because nothing else needs it. */
const SUPERTEST = 'supertest@7.3.2'
const ROOT = path.join(__dirname, '..', '..')
const REGISTER = path.join(ROOT, 'dist', 'register', 'index.js')
/** This folder is kept between runs, and is not in the repository. */
const FOLDER = path.join(ROOT, '.cache', SUPERTEST)
const PACKAGE = path.join(FOLDER, 'package.json')
const INSTALL_DEADLINE_MS = 200_000
/** A port for each connection, so that every TIME_WAIT entry can be counted. */
const manyPorts = { 'net.ipv4.ip_local_port_range': '1024 65535' }

const REQUESTS = Math.min(size('LAB_REQUESTS'), 5_000)
const deliver = { close: 'deliver' }

const execute = promisify(execFile)

/** The environment that starts a program under register. */
function under(configuration: object | undefined): string[] {
  if (configuration === undefined) return []
  const text = JSON.stringify(configuration)
  return ['env', `NODE_OPTIONS=--require=${REGISTER}`, `SOCKET_TUNER=${text}`]
}

/** Starts programs of the lab in a namespace; they are stopped after each test. */
function usePrograms(namespace: ReturnType<typeof useNamespace>) {
  const running: Program[] = []
  afterEach(async () => {
    await Promise.all(running.splice(0).map((program) => program.stop()))
  })
  return async (name: string, config: object, configuration?: object) => {
    const prefix = namespace().prefix()
    const server = new Program(name, config, [...prefix, ...under(configuration)])
    running.push(server)
    const { port } = (await server.ready()) as { port: number }
    return { server, port }
  }
}

for (const framework of ['express', 'fastify']) {
  const config = { framework }

  labDescribe(`an unmodified ${framework} application`, ['root', 'ip'], () => {
    const namespace = useNamespace(manyPorts)
    const start = usePrograms(namespace)

    it('leaves TIME_WAIT for each request on its own connection without register', async () => {
      const { server, port } = await start('register-app', config)
      await askAndWaitForEnd(namespace(), { port, requests: REQUESTS })
      expect(await afterAllClosed(server)).toMatchObject({ requests: REQUESTS, errors: {} })
      expect(await namespace().timeWaitsMade()).toBe(REQUESTS)
    })

    it("leaves no TIME_WAIT under register with close: 'deliver', and answers all requests", async () => {
      const { server, port } = await start('register-app', config, { servers: deliver })
      await askAndWaitForEnd(namespace(), { port, requests: REQUESTS })
      const seen = await afterAllClosed(server)
      expect(seen).toMatchObject({ requests: REQUESTS, errors: {}, warnings: [] })
      expect(await namespace().timeWaits({ localPort: port })).toBe(0)
    })
  })

  labDescribe(
    `an unmodified ${framework} application under wrk`,
    ['root', 'ip', 'wrk', 'taskset'],
    () => {
      const namespace = useNamespace(manyPorts)
      const start = usePrograms(namespace)

      it("leaves TIME_WAIT after at most 1 % of its requests with close: 'deliver'", async () => {
        const { server, port } = await start('register-app', config, { servers: deliver })
        // On one CPU the two ends do not close at the same moment.
        await namespace().run('taskset', '-a', '-c', '-p', firstCpu(), String(server.pid))
        const url = `http://127.0.0.1:${String(port)}/`
        const wrk = wrkCommand(url, { clients: 32, seconds: size('LAB_SECONDS') })
        let seen
        // A slow machine needs several runs.
        do {
          const output = await namespace().run('taskset', '-c', firstCpu(), ...wrk)
          expect(output).not.toMatch(/Socket errors|Non-2xx/)
          seen = await afterAllClosed(server)
        } while (seen.requests < 1_000)
        const { errors, warnings, requests } = seen
        expect({ errors, warnings }).toEqual({ errors: {}, warnings: [] })
        expect(await namespace().timeWaits({ localPort: port })).toBeLessThanOrEqual(requests / 100)
      })
    },
  )
}

labDescribe('a worker of node:cluster under register', ['root', 'ip'], () => {
  const namespace = useNamespace(manyPorts)
  const start = usePrograms(namespace)
  const requests = 500

  it("leaves no TIME_WAIT with close: 'deliver'", async () => {
    const { server, port } = await start('register-cluster', {}, { servers: deliver })
    await askAndWaitForEnd(namespace(), { port, requests })
    expect(await afterAllClosed(server)).toMatchObject({ connections: requests, warnings: [] })
    expect(await namespace().timeWaits({ localPort: port })).toBe(0)
  })

  it('leaves TIME_WAIT for each connection if timestamps are disabled', async () => {
    namespace().sysctl('net.ipv4.tcp_timestamps', '0')
    const { server, port } = await start('register-cluster', {}, { servers: deliver })
    await askAndWaitForEnd(namespace(), { port, requests })
    expect(await afterAllClosed(server)).toMatchObject({
      connections: requests,
      warnings: ['SOCKET_TUNER_DELIVER_FALLBACK'],
    })
    expect(await namespace().timeWaits({ localPort: port })).toBe(requests)
  })
})

labDescribe('a program that connects from its own local address', ['root', 'ip'], () => {
  const connections = 200
  /** More ports than the connections to each destination, and fewer than those to both. */
  const ports = { 'net.ipv4.ip_local_port_range': '40000 40149' }

  /** Keeps connections to two servers open. */
  async function open(node?: CommandLine): Promise<{ made: number; error?: { code: string } }> {
    const namespace = new Namespace(ports)
    try {
      const { ready } = await namespace.start('sink-server', { ports: 2 })
      const to = ready as { ports: number[] }
      const options = { localAddress: '127.0.0.1' }
      const client = { way: 'net.connect', ...to, options, hold: true, count: connections }
      const result = await namespace.perform('port-client', { ...client, atATime: 1 }, node)
      return result as { made: number; error?: { code: string } }
    } finally {
      await namespace.remove()
    }
  }

  it('blocks each port for all destinations', async () => {
    const { made, error } = await open()
    expect(error?.code).toMatch(/^EADDR(INUSE|NOTAVAIL)$/)
    expect(made).toBe(150)
  })

  it.each([{ settings: { TCP_NODELAY: true } }, deliver])(
    'has a port for each connection to each destination under register with %j',
    async (clients) => {
      const node = ['env', ...under({ clients }).slice(1), process.execPath] as const
      const { made, error } = await open(node)
      expect({ made, error }).toEqual({ made: connections, error: undefined })
    },
  )
})

labDescribe('the tests of Express and Fastify applications', ['root', 'ip'], () => {
  const namespace = useNamespace()
  const suite = path.join(__dirname, 'programs', 'register-suite.js')

  beforeAll(installSupertest, INSTALL_DEADLINE_MS)

  it('have the same results under register', async () => {
    const run = (configuration?: object): Promise<string> => {
      const node = [process.execPath, '--trace-warnings', suite, PACKAGE]
      return namespace().run('timeout', '60', ...under(configuration), ...node)
    }
    const without = await run()
    expect(without.match(/^.*: passed: /gm)).toHaveLength(18)
    expect(without).not.toMatch(/failed:/)
    const settings = { TCP_KEEPIDLE: 60, TCP_USER_TIMEOUT: 30_000 }
    const section = { ...deliver, settings }
    expect(await run({ clients: section, servers: section })).toBe(without)
  })
})

/** The first of the CPUs that this process may run on. */
function firstCpu(): string {
  const status = readFileSync('/proc/self/status', 'utf8')
  return /^Cpus_allowed_list:\s*(\d+)/m.exec(status)?.[1] ?? '0'
}

async function installSupertest(): Promise<void> {
  const stamp = path.join(FOLDER, 'installed')
  if (existsSync(stamp)) return
  rmSync(FOLDER, { recursive: true, force: true })
  await mkdir(FOLDER, { recursive: true })
  writeFileSync(PACKAGE, '{ "private": true }')
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--silent']
  const options = { cwd: FOLDER, timeout: INSTALL_DEADLINE_MS }
  await execute('npm', ['install', ...quiet, SUPERTEST], options)
  writeFileSync(stamp, '')
}
