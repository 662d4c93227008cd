import { execFile } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import * as path from 'node:path'
import { promisify } from 'node:util'
import { afterAllClosed, askAndWaitForEnd } from '../helpers/http-runs'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'
import { Program } from '../helpers/program'
import { size } from '../helpers/size'

/** What the suites of applications are written with; installed here, since nothing else needs it. */
const SUPERTEST = 'supertest@7.3.2'
const ROOT = path.join(__dirname, '..', '..')
const REGISTER = path.join(ROOT, 'dist', 'register', 'index.js')
/** Kept from run to run, and not in the repository. */
const FOLDER = path.join(ROOT, '.cache', SUPERTEST)
const PACKAGE = path.join(FOLDER, 'package.json')
const INSTALL_DEADLINE_MS = 200_000
/** Every TIME_WAIT entry is to be counted, so there must be a port for each connection. */
const manyPorts = { 'net.ipv4.ip_local_port_range': '1024 65535' }

const REQUESTS = Math.min(size('LAB_REQUESTS'), 5_000)
const deliver = { close: 'deliver' }

const execute = promisify(execFile)

/** What makes a program be started under register. */
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

    it('keeps TIME_WAIT for each request on a connection of its own as it is', async () => {
      const { server, port } = await start('register-app', config)
      await askAndWaitForEnd(namespace(), { port, requests: REQUESTS })
      expect(await afterAllClosed(server)).toMatchObject({ requests: REQUESTS, errors: {} })
      expect(await namespace().timeWaitsMade()).toBe(REQUESTS)
    })

    it("keeps none under register with close: 'deliver', and answers all", async () => {
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

      it("has TIME_WAIT after at most 1 % of its requests with close: 'deliver'", async () => {
        const { server, port } = await start('register-app', config, { servers: deliver })
        // On one CPU the two ends do not close in the same moment.
        await namespace().run('taskset', '-a', '-c', '-p', firstCpu(), String(server.pid))
        const url = `http://127.0.0.1:${String(port)}/`
        const duration = `-d${String(size('LAB_SECONDS'))}s`
        const wrk = ['wrk', '-t1', '-c32', duration, '-H', 'Connection: close', url]
        let seen
        // On a slow machine in several runs.
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

  it("keeps no TIME_WAIT with close: 'deliver'", async () => {
    const { server, port } = await start('register-cluster', {}, { servers: deliver })
    await askAndWaitForEnd(namespace(), { port, requests })
    expect(await afterAllClosed(server)).toMatchObject({ connections: requests, warnings: [] })
    expect(await namespace().timeWaits({ localPort: port })).toBe(0)
  })

  it('keeps it for each connection without timestamps', async () => {
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

labDescribe('the tests of Express and Fastify applications', ['root', 'ip'], () => {
  const namespace = useNamespace()
  const suite = path.join(__dirname, 'programs', 'register-suite.js')

  beforeAll(installSupertest, INSTALL_DEADLINE_MS)

  it('come to the same under register', async () => {
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
