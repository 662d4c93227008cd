/** The examples of docs/drivers.md, run against servers. */
import * as path from 'node:path'
import { deadPeerDetection, type CloseTotals } from '../../lib'
import { makeCertificate } from '../helpers/certificate'
import type { CommandLine } from '../helpers/command'
import { startDataServer, type DataServer, type DataServerName } from '../helpers/data-servers'
import { HOST, SOURCE, example } from '../helpers/drivers-page'
import { labDescribe } from '../helpers/lab'
import { useNamespace, type Namespace } from '../helpers/namespace'
import type { Program } from '../helpers/program'
import { size } from '../helpers/size'

const TIMES = size('DRIVER_CONNECTIONS')
const REGISTER = path.join(__dirname, '..', '..', 'dist', 'register', 'index.js')

/** Stand-ins for servers that Debian does not package. */
type StandInName = 'kafka-stand-in' | 'mongodb-stand-in'

interface Case {
  readonly driver: string
  readonly server: DataServerName | StandInName
  readonly port: number
  /** The server also closes after the client's last message, so either end may close first. */
  readonly eitherCloses: boolean
  /** An option without which the driver gives up connecting on a busy machine. */
  readonly patience?: string
  /** The driver creates its own sockets, which socket-tuner/register tunes. */
  readonly underRegister?: boolean
}

const cases: readonly Case[] = [
  { driver: 'pg', server: 'postgresql', port: 5432, eitherCloses: true },
  { driver: 'postgres', server: 'postgresql', port: 5432, eitherCloses: true },
  { driver: 'mysql2', server: 'mariadb', port: 3306, eitherCloses: true },
  {
    driver: 'mariadb',
    server: 'mariadb',
    port: 3306,
    eitherCloses: true,
    // No time limit, instead of 1 s.
    patience: 'connectTimeout: 0',
  },
  { driver: 'ioredis', server: 'redis', port: 6379, eitherCloses: false },
  { driver: 'redis', server: 'redis', port: 6379, eitherCloses: false, underRegister: true },
  { driver: 'mqtt', server: 'mosquitto', port: 1883, eitherCloses: true },
  { driver: 'kafkajs', server: 'kafka-stand-in', port: 9092, eitherCloses: false },
  {
    driver: 'mongodb',
    server: 'mongodb-stand-in',
    port: 27017,
    eitherCloses: false,
    underRegister: true,
  },
]

interface Run {
  readonly connections: number
  readonly errors: Readonly<Record<string, number>>
  readonly warnings: readonly string[]
  readonly totals: CloseTotals
}

/** Replaces tuning.js: sockets without tuning. */
const UNTUNED = `
import net from 'node:net'
import tls from 'node:tls'
export const connector = {
  prepareSocket: () => new net.Socket(),
  connect: (options, listener) => net.connect(options, listener),
  connectTls: (options, listener) => tls.connect(options, listener),
}
`

/** The example of a driver with its patience, and with further options before its host. */
function exampleOf({ driver, patience }: Case, before = 'host:', ...more: string[]): string {
  const options = patience === undefined ? more : [patience, ...more]
  const inserted = options.map((option) => `${option},\n  `).join('')
  return example(driver, 'js').replace(before, `${inserted}${before}`)
}

function isStandIn(name: DataServerName | StandInName): name is StandInName {
  return name.endsWith('-stand-in')
}

/** Returns the client ports of the connections in TIME_WAIT, at each end. */
async function timeWaits(namespace: Namespace, port: number) {
  return {
    client: await namespace.timeWaitPorts({ remotePort: port }),
    server: await namespace.timeWaitPorts({ localPort: port }),
  }
}

for (const each of cases) {
  const { driver, server: name, port, eitherCloses, underRegister = false } = each
  const needs = isStandIn(name) ? [] : [name]

  labDescribe(
    `the example of docs/drivers.md for ${driver}`,
    ['root', 'ip', 'drivers', ...needs],
    () => {
      const namespace = useNamespace()
      let server: DataServer | undefined

      beforeAll(async () => {
        if (isStandIn(name)) await namespace().start(name, { port })
        else server = await startDataServer(namespace(), name)
      })
      afterAll(() => server?.stop())

      const code = exampleOf(each)
      const tuning = example('tuning.js', 'js')

      async function start(modules: Record<string, string>, tuned = true): Promise<Program> {
        const config = {
          driver,
          modules: { 'example.js': `${code}\nexport { client }`, ...modules },
        }
        const tune: CommandLine = [
          'env',
          `NODE_OPTIONS=--require=${REGISTER}`,
          ...(underRegister && tuned ? [`SOCKET_TUNER=${example(driver, 'json')}`] : []),
          process.execPath,
        ]
        const node = underRegister && tuned ? tune : undefined
        const { program } = await namespace().start('driver-client', config, node)
        return program
      }

      /** Runs clients one after another. Also returns the client ports of connections that left TIME_WAIT. */
      async function run(modules: Record<string, string>, tuned = true) {
        const before = await timeWaits(namespace(), port)
        const program = await start(modules, tuned)
        const result = (await program.ask('run', { times: TIMES })) as Run
        await program.stop()
        const after = await timeWaits(namespace(), port)
        return {
          ...result,
          client: [...after.client].filter((each) => !before.client.has(each)),
          server: [...after.server].filter((each) => !before.server.has(each)),
          // A simultaneous close leaves an entry at both ends.
          clientAlone: [...after.client].filter((each) => !after.server.has(each)),
        }
      }

      it('sets dead-peer detection, the source and the close mode on each connection of the driver', async () => {
        const program = await start({ 'tuning.js': tuning })
        const states = (await program.ask('look')) as object[]
        await program.stop()
        expect(states.length).toBeGreaterThan(0)
        for (const state of states) {
          expect(state).toMatchObject({
            ...deadPeerDetection(30),
            localAddress: SOURCE,
            close: { mode: 'deliver', onEnd: 'close' },
          })
        }
      })

      it('would leave TIME_WAIT without this library', async () => {
        const { connections, errors, client, server } = await run({ 'tuning.js': UNTUNED }, false)
        expect(errors).toEqual({})
        expect(connections).toBeGreaterThanOrEqual(TIMES)
        expect(client.length + server.length).toBeGreaterThan(connections / 2)
      })

      it('leaves no TIME_WAIT at the client unless both ends close at once', async () => {
        const result = await run({ 'tuning.js': tuning })
        const { connections, errors, warnings, totals, client, server } = result
        expect({ errors, warnings }).toEqual({ errors: {}, warnings: [] })
        expect(totals).toMatchObject({ closes: { fin: 0, deliver: connections }, fallbacks: {} })
        expect(totals).toMatchObject({ timeWaitLeft: 0, discardedBytes: 0 })
        expect(client.filter((each) => result.clientAlone.includes(each))).toEqual([])
        if (!eitherCloses) expect({ client, server }).toEqual({ client: [], server: [] })
      })
    },
  )
}

interface SecureCase extends Case {
  /** The option that makes the driver use TLS, and the option of the example that it is put before. */
  readonly tls: string
  readonly before: string
}

const secureCases: readonly SecureCase[] = cases.flatMap((each) => {
  const { driver } = each
  const tls = 'ssl: { rejectUnauthorized: false }'
  if (['pg', 'mysql2', 'mariadb'].includes(driver)) return { ...each, tls, before: 'host:' }
  // Its servername is a host name, which the address of the lab is not.
  const named = "ssl: { rejectUnauthorized: false, servername: 'localhost' }"
  return driver === 'kafkajs' ? { ...each, tls: named, before: 'brokers:' } : []
})

for (const each of secureCases) {
  const { driver, server: name, port, tls, before } = each
  const needs = isStandIn(name) ? [] : [name]

  labDescribe(
    `the example of docs/drivers.md for ${driver} over TLS`,
    ['root', 'ip', 'drivers', ...needs],
    () => {
      const namespace = useNamespace()
      const code = `${exampleOf(each, before, tls)}\nexport { client }`
      const tuning = example('tuning.js', 'js')
      let server: DataServer | undefined

      beforeAll(async () => {
        // Each server refuses a client that must not go without TLS, or speaks nothing else.
        if (isStandIn(name)) await namespace().start(name, { port, certificate: makeCertificate() })
        else server = await startDataServer(namespace(), name)
      })
      afterAll(() => server?.stop())

      async function ask(question: string, detail?: unknown, tuned = tuning): Promise<unknown> {
        const modules = { 'example.js': code, 'tuning.js': tuned }
        const { program } = await namespace().start('driver-client', { driver, modules })
        try {
          return await program.ask(question, detail)
        } finally {
          await program.stop()
        }
      }

      it('sets dead-peer detection, the source and the close mode on each connection of the driver', async () => {
        expect(await ask('look')).toMatchObject([
          {
            ...deadPeerDetection(30),
            localAddress: SOURCE,
            close: { mode: 'deliver', onEnd: 'close' },
          },
        ])
      })

      it('leaves no TIME_WAIT at the client unless both ends close at once', async () => {
        const { connections, errors, warnings, totals } = (await ask('run', {
          times: TIMES,
        })) as Run
        expect({ connections, errors, warnings }).toEqual({
          connections: TIMES,
          errors: {},
          warnings: [],
        })
        expect(totals).toMatchObject({ closes: { fin: 0, deliver: TIMES }, fallbacks: {} })
        expect(totals).toMatchObject({ timeWaitLeft: 0, discardedBytes: 0 })
        const { client, server: atServer } = await timeWaits(namespace(), port)
        expect([...client].filter((each) => !atServer.has(each))).toEqual([])
      })

      // The others are reset by their servers, which leave the client's close_notify unread.
      if (driver === 'kafkajs') {
        it('would leave TIME_WAIT without this library', async () => {
          const { connections, errors } = (await ask('run', { times: TIMES }, UNTUNED)) as Run
          expect({ connections, errors }).toEqual({ connections: TIMES, errors: {} })
          const { client, server: atServer } = await timeWaits(namespace(), port)
          expect(client.size + atServer.size).toBeGreaterThan(TIMES / 2)
        })
      }
    },
  )
}

labDescribe('pg with sockets of prepareSocket()', ['root', 'ip', 'drivers', 'postgresql'], () => {
  const namespace = useNamespace()
  const code = `${example('pg', 'js')}\nexport { client }`
  const tuning = example('tuning.js', 'js')
  let server: DataServer | undefined

  beforeAll(async () => {
    server = await startDataServer(namespace(), 'postgresql')
  })
  afterAll(() => server?.stop())

  async function ask(question: string, detail: unknown, modules: Record<string, string>) {
    const { program } = await namespace().start('driver-client', { driver: 'pg', modules })
    try {
      return await program.ask(question, detail)
    } finally {
      await program.stop()
    }
  }

  it('connects to a path with settings that have an effect there, and reports one that has none', async () => {
    const local = code.replace(`host: '${HOST}'`, `host: '${String(server?.folder)}'`)
    const buffer = tuning
      .replace('{ ...deadPeerDetection(30), TCP_NODELAY: true }', '{ SO_SNDBUF: 50_000 }')
      .replace(/ *source: .*\n/, '')
    const result = await ask('run', { times: 3 }, { 'example.js': local, 'tuning.js': buffer })
    expect(result).toMatchObject({ connections: 3, errors: {} })
    const wrong = tuning.replace(/ *source: .*\n/, '')
    const refused = ask('run', { times: 1 }, { 'example.js': local, 'tuning.js': wrong })
    await expect(refused).rejects.toThrow(/SO_KEEPALIVE .*unix-domain socket/)
  })

  it('leaves TIME_WAIT after end() of pg if the close mode does not apply to end()', async () => {
    const halfClose = tuning.replace("{ mode: 'deliver', onEnd: 'close' }", "'deliver'")
    const modules = { 'example.js': code, 'tuning.js': halfClose }
    const { connections, totals } = (await ask('run', { times: TIMES }, modules)) as Run
    const { client, server: atServer } = await timeWaits(namespace(), 5432)
    expect(client.size).toBeGreaterThan(connections / 2)
    const { timeWaitLeft, fallbacks } = totals
    expect(fallbacks).toEqual({ ended: timeWaitLeft })
    expect(timeWaitLeft).toBeGreaterThanOrEqual(client.size)
    // If the server's FIN came before a shutdown() that was more than 40 ms late, the kernel no longer shows its order, and
    // an entry is reported that the server has: lib/close/fin-order.ts.
    const serverFirst = [...atServer].filter((each) => !client.has(each))
    expect(timeWaitLeft).toBeLessThanOrEqual(client.size + serverFirst.length)
  })
})
