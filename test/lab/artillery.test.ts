import { execFile } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import * as path from 'node:path'
import { promisify } from 'node:util'
import { makeCertificate } from '../helpers/certificate'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'
import { INSTALL_DEADLINE_MS, installNode } from '../helpers/node-release'
import type { Program } from '../helpers/program'
import { size } from '../helpers/size'
import { until } from '../helpers/until'

const USERS = size('VIRTUAL_USERS')
/** Many users, so that a pool of 20 connections differs clearly from one connection per user. */
const POOLED_USERS = 1_000
const RELEASE = '2.0.34'
const ROOT = path.join(__dirname, '..', '..')
const EXAMPLE = path.join(ROOT, 'examples', 'artillery')
/** This folder is kept between runs, and is not in the repository. */
const FOLDER = path.join(ROOT, '.cache', 'artillery')

const execute = promisify(execFile)

/** A function of a test script, which counts the agents that a virtual user starts with. */
const COUNTING_AGENTS = `
  const { Agent } = require('node:http')
  module.exports.countAgents = (context, events, done) => {
    for (const name of ['_httpAgent', '_httpsAgent'])
      if (context[name] instanceof Agent)
        events.emit('counter', 'context.' + name + ' is an http.Agent', 1)
    done()
  }`

/** The counts of the server. */
interface Seen {
  connections: number
  requests: number
  closed: number
  errors: Record<string, number>
  /** Connections by their source address. */
  sources: Record<string, number>
  /** Connections by the largest segment that the server may send. */
  segments: Record<string, number>
}

labDescribe('Artillery', ['root', 'ip', 'openssl'], () => {
  const namespace = useNamespace()
  let node: string
  let scratch: string

  beforeAll(async () => {
    node = await installNode('24')
    await installArtillery()
    scratch = mkdtempSync(path.join(tmpdir(), 'socket-tuner-artillery-'))
  }, INSTALL_DEADLINE_MS)

  afterAll(() => {
    rmSync(scratch, { recursive: true })
  })

  /** Runs a script in the namespace, without any other network. Returns the counters of its report. */
  async function run(script: string, ...flags: string[]): Promise<Record<string, number>> {
    const report = path.join(scratch, 'report.json')
    const unset = ['HTTP_PROXY', 'HTTPS_PROXY', 'ARTILLERY_PLUGINS'].flatMap((name) => ['-u', name])
    const set = [`HOME=${scratch}`, 'ARTILLERY_DISABLE_TELEMETRY=true']
    const artillery = [node, path.join(FOLDER, 'node_modules', 'artillery', 'bin', 'run')]
    const args = ['run', '--quiet', '--output', report, ...flags, script]
    await namespace().run('env', ...unset, ...set, 'timeout', '120', ...artillery, ...args)
    const { aggregate } = JSON.parse(readFileSync(report, 'utf8')) as {
      aggregate: { counters: Record<string, number> }
    }
    return aggregate.counters
  }

  /** Returns a script with a number of virtual users, each of which makes a number of requests. */
  function scriptOf(users: number, requests: number, config: object, scenario = {}): string {
    const phases = phasesOf(users)
    const flow = [{ loop: [{ get: { url: '/' } }], count: requests }]
    const script = path.join(scratch, 'script.json')
    const scenarios = [{ flow, ...scenario }]
    writeFileSync(script, JSON.stringify({ config: { phases, ...config }, scenarios }))
    return script
  }

  it('leaves a TIME_WAIT entry for each virtual user without the plugin', async () => {
    const { server, port } = await namespace().serve('load-target')
    const target = `http://127.0.0.1:${String(port)}`
    const processor = path.join(scratch, 'processor.js')
    writeFileSync(processor, COUNTING_AGENTS)
    const scenario = { beforeScenario: 'countAgents' }
    const counters = await run(scriptOf(USERS, 2, { target, processor }, scenario))
    expect(counters).toMatchObject({ 'http.responses': 2 * USERS, 'vusers.completed': USERS })
    // The contract of lib/clients/artillery/script.ts.
    expect(counters).toMatchObject({
      'context._httpAgent is an http.Agent': USERS,
      'context._httpsAgent is an http.Agent': USERS,
    })
    const { connections, requests } = await afterAllClosed(server)
    expect(requests).toBe(2 * USERS)
    expect(connections).toBeGreaterThanOrEqual(USERS)
    expect(await namespace().timeWaits({ remotePort: port })).toBe(connections)
  })

  it('leaves no TIME_WAIT with the plugin, which tunes and counts every connection', async () => {
    const { server, port } = await namespace().serve('load-target')
    const target = `http://127.0.0.1:${String(port)}`
    const own = { settings: { TCP_MAXSEG: 1000 }, source: ['127.0.0.2', '127.0.0.3'] }
    const counters = await run(scriptOf(USERS, 2, { target, plugins: { 'socket-tuner': own } }))
    expect(counters).toMatchObject({ 'http.responses': 2 * USERS, 'vusers.completed': USERS })
    const { connections, sources, ...seen } = await afterAllClosed(server)
    expectCounted(counters, { connections, requests: 2 * USERS })
    // As many as without the plugin, except for those that Artillery's client aborts.
    expect(connections).toBeGreaterThanOrEqual(USERS)
    expect(connections).toBeLessThan(1.07 * USERS)
    // Each segment has 12 bytes of timestamps.
    expect(seen).toMatchObject({ requests: 2 * USERS, errors: {}, segments: { 988: connections } })
    const { '127.0.0.2': one = 0, '127.0.0.3': two = 0 } = sources
    expect(one + two).toBe(connections)
    expect(Math.abs(one - two)).toBeLessThan(0.14 * USERS)
    expect(await namespace().timeWaits({ remotePort: port })).toBe(0)
  })

  it('shares a pool of tuned connections between its virtual users, over TLS too', async () => {
    const { server, port } = await namespace().serve('load-target', { tls: makeCertificate() })
    const counters = await run(
      scriptOf(POOLED_USERS, 1, {
        target: `https://127.0.0.1:${String(port)}`,
        tls: { rejectUnauthorized: false },
        http: { pool: 20 },
        plugins: { 'socket-tuner': { settings: { TCP_MAXSEG: 1000 } } },
      }),
    )
    expect(counters).toMatchObject({
      'http.responses': POOLED_USERS,
      'vusers.completed': POOLED_USERS,
    })
    const { connections, ...seen } = await afterAllClosed(server)
    expectCounted(counters, { connections, requests: POOLED_USERS })
    // Without the pool there would be one per user. Artillery's client aborts some in addition to the 20.
    expect(connections).toBeLessThan(POOLED_USERS / 2)
    expect(seen).toMatchObject({
      requests: POOLED_USERS,
      errors: {},
      segments: { 988: connections },
    })
    expect(await namespace().timeWaits({ remotePort: port })).toBe(0)
  })

  it('finds the plugin by a scope, as in the example', async () => {
    const { server, port } = await namespace().serve('load-target')
    const target = `http://127.0.0.1:${String(port)}`
    const overrides = JSON.stringify({ config: { phases: phasesOf(USERS) } })
    const flags = ['--target', target, '--overrides', overrides]
    const counters = await run(path.join(EXAMPLE, 'load.yml'), ...flags)
    expect(counters).toMatchObject({ 'http.responses': 3 * USERS, 'vusers.completed': USERS })
    const { connections, ...seen } = await afterAllClosed(server)
    expectCounted(counters, { connections, requests: 3 * USERS })
    expect(seen).toMatchObject({ requests: 3 * USERS, errors: {}, segments: { 1188: connections } })
    expect(await namespace().timeWaits({ remotePort: port })).toBe(0)
  })

  it('reports an error in the configuration, and generates no load', async () => {
    const { server, port } = await namespace().serve('load-target')
    const target = `http://127.0.0.1:${String(port)}`
    const plugins = { 'socket-tuner': { settings: { TCP_MAXSEC: 1000 } } }
    await expect(run(scriptOf(1, 1, { target, plugins }))).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('ERR_SOCKET_TUNER_UNKNOWN_OPTION') as string,
    })
    expect(await server.ask('seen')).toMatchObject({ connections: 0 })
  })
})

function phasesOf(users: number): object[] {
  return [{ duration: 3, arrivalCount: users }]
}

/** Asserts that the plugin's counts match the server's: each request used a new or a reused connection. */
function expectCounted(
  counters: Record<string, number>,
  { connections, requests }: { connections: number; requests: number },
): void {
  expect(counters).toMatchObject({
    'socket_tuner.connections.created': connections,
    'socket_tuner.connections.reused': requests - connections,
  })
}

function afterAllClosed(server: Program): Promise<Seen> {
  return until(
    'the server has closed all connections',
    async () => (await server.ask('seen')) as Seen,
    ({ connections, closed }) => closed === connections,
  )
}

/** The path of a release of Node that Artillery supports. */
/** Installs Artillery, this package, and the package with the name that Artillery looks for. */
async function installArtillery(): Promise<void> {
  const stamp = path.join(FOLDER, 'installed')
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== RELEASE) {
    rmSync(FOLDER, { recursive: true, force: true })
    await mkdir(FOLDER, { recursive: true })
    writeFileSync(path.join(FOLDER, 'package.json'), '{ "private": true }')
    const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--silent']
    await execute('npm', ['install', ...quiet, `artillery@${RELEASE}`], {
      cwd: FOLDER,
      env: { ...process.env, PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD: '1' },
      timeout: INSTALL_DEADLINE_MS,
    })
    writeFileSync(stamp, RELEASE)
  }
  const modules = path.join(FOLDER, 'node_modules')
  const named = 'artillery-plugin-socket-tuner'
  for (const name of ['socket-tuner', named])
    rmSync(path.join(modules, name), { recursive: true, force: true })
  symlinkSync(ROOT, path.join(modules, 'socket-tuner'))
  cpSync(path.join(EXAMPLE, named), path.join(modules, named), { recursive: true })
}
