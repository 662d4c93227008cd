import { execFile } from 'node:child_process'
import { once } from 'node:events'
import * as http from 'node:http'
import * as http2 from 'node:http2'
import * as https from 'node:https'
import * as net from 'node:net'
import * as path from 'node:path'
import * as tls from 'node:tls'
import { json } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { prefork, type PreforkCounters, type PreforkOptions } from '../../lib/prefork'
import { makeCertificate, type Certificate } from '../helpers/certificate'
import { coded } from '../helpers/coded'
import { Program } from '../helpers/program'
import { allGone } from '../helpers/processes'
import { until } from '../helpers/until'
import { closeLater, loopback } from '../sockets'
import { FOREIGN } from '../helpers/foreign-address'

const host = loopback[4]
const WORKER_PROGRAM = path.join(__dirname, 'prefork-worker-program.js')
const run = promisify(execFile)
const isLinux = process.platform === 'linux'

interface Who {
  pid: number
  slot: number
}

interface Ready {
  address: net.AddressInfo
  port: number
  /** Present instead of the other members if prefork() rejected. */
  error?: { code: string; message: string; cause?: { code?: string; message: string } }
}

const programs: Program[] = []

afterEach(async () => {
  await Promise.all(programs.splice(0).map((program) => program.stop()))
})

/** Starts a process with a group of two workers. */
async function start(config: object = {}): Promise<{ program: Program; ready: Ready }> {
  const all = { host, workers: 2, restartDelayMs: 1, ...config }
  const program = new Program('prefork-server', all, ['env'])
  programs.push(program)
  return { program, ready: (await program.ready()) as Ready }
}

async function get(port: number, url = '/', agent: http.Agent | false = false): Promise<Who> {
  const request = http.get({ host, port, agent, path: url })
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  return (await json(response)) as Who
}

async function counters(program: Program): Promise<PreforkCounters[]> {
  return (await program.ask('counters')) as PreforkCounters[]
}

async function pids(program: Program): Promise<number[]> {
  return (await program.ask('pids')) as number[]
}

/** Kept connections may be idle for 1.5 s, unused ones for 6 s. */
const patient = { shutdownTimeoutMs: 12_000, keepAliveTimeout: 3_600_000 }

/** Connects, with TLS if there is a certificate, and waits until a worker has accepted the connection. */
async function connected(
  kind: string,
  port: number,
  certificate: Certificate | undefined,
): Promise<net.Socket> {
  const socket =
    kind === 'https'
      ? tls.connect({ host, port, servername: 'localhost', ca: certificate?.cert })
      : net.connect(port, host)
  closeLater(() => socket.destroy())
  await once(socket, kind === 'https' ? 'secureConnect' : 'connect')
  return socket
}

/** Returns whether a connection to the port succeeds. */
async function isOpen(port: number): Promise<boolean> {
  const socket = net.connect(port, host)
  const open = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => {
      resolve(true)
    })
    socket.once('error', () => {
      resolve(false)
    })
  })
  socket.destroy()
  return open
}

describe('prefork()', () => {
  it('serves one port with all its workers, and counts the connections of each', async () => {
    const { program, ready } = await start()
    expect(ready.address).toEqual({ address: host, family: 'IPv4', port: ready.port })
    const answers = await Promise.all(Array.from({ length: 100 }, () => get(ready.port)))
    expect(new Set(answers.map(({ pid }) => pid))).toEqual(new Set(await pids(program)))
    const bySlot = [0, 1].map((slot) => answers.filter((answer) => answer.slot === slot).length)
    expect(await counters(program)).toMatchObject([
      { slot: 0, connections: bySlot[0], restarts: 0, crashes: 0 },
      { slot: 1, connections: bySlot[1], restarts: 0, crashes: 0 },
    ])
  })

  it.each(['http2', 'net', 'https'])('serves with a %s server', async (kind) => {
    const certificate = kind === 'https' ? makeCertificate() : undefined
    const { ready } = await start({ kind, tls: certificate, workers: 1 })
    expect(await askBy(kind, ready.port, certificate)).toMatchObject({ slot: 0 })
  })

  it('replaces its workers on restart()', async () => {
    const { program, ready } = await start()
    const before = await pids(program)
    expect(await program.ask('restart')).toBe('done')
    await allGone(before)
    expect(await counters(program)).toMatchObject([
      { restarts: 1, crashes: 0 },
      { restarts: 1, crashes: 0 },
    ])
    expect(before).not.toContain((await get(ready.port)).pid)
  })

  it('keeps its workers if their replacements do not start', async () => {
    const { program, ready } = await start()
    const before = await pids(program)
    await program.ask('crash', 'throw')
    expect(await program.ask('restart')).toMatchObject({
      code: 'ERR_SOCKET_TUNER_PREFORK_CRASHES',
      cause: { code: 'ENODB', message: 'no database' },
    })
    expect(await pids(program)).toEqual(before)
    expect(before).toContain((await get(ready.port)).pid)
  })

  it('replaces a worker that is killed', async () => {
    const { program } = await start()
    const [victim = 0, other] = await pids(program)
    process.kill(victim, 'SIGKILL')
    const after = await until(
      'there are two again',
      () => counters(program),
      (all) => all.every(({ pid }) => pid !== undefined && pid !== victim),
    )
    expect(after.map(({ crashes }) => crashes).toSorted()).toEqual([0, 1])
    expect(after.map(({ pid }) => pid)).toContain(other)
  })

  it('replaces a worker that receives SIGTERM, but not one that receives SIGINT', async () => {
    const { program } = await start()
    const [victim = 0] = await pids(program)
    process.kill(victim, 'SIGINT')
    process.kill(victim, 'SIGTERM')
    await allGone([victim])
    const after = await counters(program)
    expect(after.map(({ restarts }) => restarts).toSorted()).toEqual([0, 1])
    expect(after.map(({ crashes }) => crashes)).toEqual([0, 0])
    expect(await pids(program)).toHaveLength(2)
  })

  it('answers requests in progress when it closes, and leaves no process and no open port', async () => {
    const { program, ready } = await start()
    const before = await pids(program)
    const accepted = 8
    const answers = Array.from({ length: accepted }, () => get(ready.port, '/slow?delay=300'))
    await until(
      'all are accepted',
      () => counters(program),
      (all) => all.reduce((sum, { connections }) => sum + connections, 0) === accepted,
    )
    expect(await program.ask('close')).toBe('done')
    expect(await Promise.all(answers)).toHaveLength(accepted)
    expect(await program.ask('ended')).toEqual({ closed: true })
    expect(await program.ask('warnings')).toEqual([])
    await allGone(before)
    expect(await isOpen(ready.port)).toBe(false)
    expect(await program.ask('restart')).toMatchObject({ code: 'ERR_SOCKET_TUNER_PREFORK_CLOSED' })
  })

  it('can be called again only after it is closed', async () => {
    const { program } = await start()
    expect(await program.ask('again')).toMatchObject({ code: 'ERR_SOCKET_TUNER_PREFORK_PLACE' })
    expect(await program.ask('dispose')).toBe('done')
    expect(await program.ask('again')).toBe('done')
  })

  it('sends the last response on a kept connection with Connection: close', async () => {
    const { program, ready } = await start({ workers: 1 })
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    closeLater(() => {
      agent.destroy()
    })
    await get(ready.port, '/', agent)
    const before = await pids(program)
    const restarted = program.ask('restart')
    const last = await until(
      'the worker says that it closes',
      async () => {
        const request = http.get({ host, port: ready.port, agent })
        const [response] = (await once(request, 'response')) as [http.IncomingMessage]
        const { pid } = (await json(response)) as Who
        return { pid, reused: request.reusedSocket, connection: response.headers.connection }
      },
      ({ connection }) => connection === 'close',
    )
    expect(last).toMatchObject({ pid: before[0], reused: true })
    expect(await restarted).toBe('done')
  })

  it.each(['http', 'https'])(
    'closes idle connections, whether used before or not (%s)',
    async (kind) => {
      const certificate = kind === 'https' ? makeCertificate() : undefined
      const { program, ready } = await start({ kind, tls: certificate, ...patient })
      const used = await connected(kind, ready.port, certificate)
      const unused = await connected(kind, ready.port, certificate)
      used.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
      await once(used, 'data')
      const ended = Promise.all([used, unused].map((socket) => once(socket.resume(), 'end')))
      expect(await program.ask('close')).toBe('done')
      await ended
      expect(await program.ask('cleaned')).toBe(2)
    },
  )

  it('does not close a connection whose response takes longer than the idle timeout', async () => {
    const { program, ready } = await start(patient)
    const answer = get(ready.port, '/slow?delay=4000')
    await until(
      'it is accepted',
      () => counters(program),
      (all) => all.some(({ connections }) => connections === 1),
    )
    expect(await program.ask('close')).toBe('done')
    expect(await answer).toHaveProperty('pid')
  })

  it('adds `Connection: close` to a response whose head is not written yet', async () => {
    const { program, ready } = await start({ workers: 1, ...patient })
    const agent = new http.Agent({ keepAlive: true })
    closeLater(() => {
      agent.destroy()
    })
    const request = http.get({ host, port: ready.port, agent, path: '/slow?delay=1000' })
    const responded = once(request, 'response') as Promise<[http.IncomingMessage]>
    await until(
      'it is accepted',
      () => counters(program),
      (all) => all.some(({ connections }) => connections === 1),
    )
    expect(await program.ask('close')).toBe('done')
    const [response] = await responded
    expect(response.headers.connection).toBe('close')
    expect(await json(response)).toMatchObject({ slot: 0 })
    expect(await program.ask('cleaned')).toBe(1)
  })

  it('ends HTTP/2 sessions with GOAWAY, spread over shutdownOverMs', async () => {
    const { program, ready } = await start({ kind: 'http2', shutdownOverMs: 500, ...patient })
    const sessions = Array.from({ length: 4 }, () =>
      http2.connect(`http://${host}:${String(ready.port)}`),
    )
    closeLater(() => {
      for (const session of sessions) session.destroy()
    })
    const codes: number[] = []
    const closed = sessions.map(async (session) => {
      session.on('goaway', (code: number) => codes.push(code))
      expect(await json(session.request({ ':path': '/' }))).toHaveProperty('pid')
      await once(session, 'close')
    })
    await until(
      'all are accepted',
      () => counters(program),
      (all) => all.reduce((total, { connections }) => total + connections, 0) === sessions.length,
    )
    expect(await program.ask('close')).toBe('done')
    await Promise.all(closed)
    expect(new Set(codes)).toEqual(new Set([0]))
    expect(await program.ask('cleaned')).toBe(2)
  })

  it('limits the connections of its workers, even of those that run another file', async () => {
    for (const other of [{}, { exec: WORKER_PROGRAM }]) {
      const { program, ready } = await start({ workers: 1, maxRequests: 2, ...other })
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
      const connections: (string | undefined)[] = []
      while (connections.length < 4) {
        const request = http.get({ host, port: ready.port, agent })
        const [response] = (await once(request, 'response')) as [http.IncomingMessage]
        connections.push(response.headers.connection)
        await json(response)
      }
      expect(connections).toEqual(['keep-alive', 'close', 'keep-alive', 'close'])
      agent.destroy()
      await program.stop()
    }
  })

  it('rejects limits for a server that is not an HTTP server', async () => {
    const { ready } = await start({ kind: 'net', maxRequests: 2, crashLimit: 1, workers: 1 })
    expect(ready).toMatchObject({ error: { cause: { code: 'ERR_INVALID_ARG_VALUE' } }, pids: [] })
  })

  it('accepts the longest shutdownTimeoutMs', async () => {
    const { program } = await start({ shutdownTimeoutMs: 2 ** 31 - 1 })
    expect(await program.ask('close')).toBe('done')
    expect(await program.ask('cleaned')).toBe(2)
  })

  it('leaves no process and no open port if the primary is killed', async () => {
    const { program, ready } = await start()
    const before = await pids(program)
    await program.stop()
    await allGone(before)
    expect(await isOpen(ready.port)).toBe(false)
  })

  it('runs another file in its workers, with its arguments', async () => {
    const { ready } = await start({ exec: WORKER_PROGRAM, args: ['a', 'b'], workers: 1 })
    expect(await get(ready.port)).toMatchObject({ slot: 0, arguments: ['a', 'b'] })
  })

  it('kills a worker that does not exit', async () => {
    const { program, ready } = await start({ workers: 1, shutdownTimeoutMs: 50 })
    const idle = net.connect(ready.port, host)
    closeLater(() => idle.destroy())
    idle.on('error', () => undefined)
    await once(idle, 'connect')
    const before = await pids(program)
    expect(await program.ask('close')).toBe('done')
    await allGone(before)
  })

  it("shares one socket, as node:cluster does, with steering 'cluster'", async () => {
    const { program, ready } = await start({ steering: 'cluster' })
    const answers = await Promise.all(Array.from({ length: 20 }, () => get(ready.port)))
    expect(new Set(answers.map(({ slot }) => slot)).size).toBe(2)
    expect(await program.ask('restart')).toBe('done')
    await get(ready.port)
    expect(await program.ask('close')).toBe('done')
    expect(await isOpen(ready.port)).toBe(false)
    expect(await program.ask('warnings')).toEqual([])
  })
})

describe('prefork() whose workers end', () => {
  const ends: [string, string, object][] = [
    ['exit', 'exit code 3', {}],
    ['throw', 'no database', { cause: { code: 'ENODB', message: 'no database' } }],
    ['after listening', 'exit code 4', {}],
  ]

  it.each(ends)('gives up if they end right after their start (%s)', async (crash, text, more) => {
    const { program, ready } = await start({ crash, crashLimit: 3 })
    const error = ready.error ?? (await untilEnded(program))
    expect(error).toMatchObject({
      code: 'ERR_SOCKET_TUNER_PREFORK_CRASHES',
      message: expect.stringContaining(text) as string,
      ...more,
    })
    expect(error.message).toContain('3 times in a row')
  })

  it('leaves no process and no open port if they end before they listen', async () => {
    const { port } = await freePort()
    const { ready } = await start({ crash: 'exit', crashLimit: 2, port })
    expect(ready).toMatchObject({
      error: { code: 'ERR_SOCKET_TUNER_PREFORK_CRASHES' },
      pids: [],
    })
    expect(await isOpen(port)).toBe(false)
  })

  it('kills a worker that does not listen in time', async () => {
    const { ready } = await start({ crash: 'silence', crashLimit: 1, startTimeoutMs: 300 })
    expect(ready).toMatchObject({
      error: {
        code: 'ERR_SOCKET_TUNER_PREFORK_CRASHES',
        cause: { message: 'It did not listen within 300 ms' },
      },
      pids: [],
    })
  })

  it('closes the group with the reason if they repeatedly end after they listened', async () => {
    const { program, ready } = await start({ crashLimit: 2 })
    await program.ask('crash', 'exit')
    const before = await pids(program)
    process.kill(before[0] ?? 0, 'SIGKILL')
    expect(await untilEnded(program)).toMatchObject({ code: 'ERR_SOCKET_TUNER_PREFORK_CRASHES' })
    await allGone(before)
    expect(await isOpen(ready.port)).toBe(false)
  })
})

describe('prefork() whose workers fail in their cleanup', () => {
  const failure = {
    code: 'ERR_SOCKET_TUNER_PREFORK_CLEANUP',
    message: expect.stringContaining('the database stays open') as string,
    cause: { code: 'EDB', message: 'the database stays open' },
  }

  it.each(['throw', 'reject'])(
    'rejects close() and closed with the error (%s)',
    async (cleanup) => {
      const { program, ready } = await start({ cleanup })
      const before = await pids(program)
      await get(ready.port)
      expect(await program.ask('close')).toMatchObject(failure)
      expect(await program.ask('ended')).toMatchObject(failure)
      await allGone(before)
      expect(await isOpen(ready.port)).toBe(false)
      // The worker has printed the error with its stack.
      expect(program.errors).toMatch(/Error: the database stays open\n +at .*prefork-server\.js/)
    },
  )

  it('reports a thrown value that is not an error', async () => {
    const { program } = await start({ cleanup: 'with an object' })
    expect(await program.ask('close')).toMatchObject({
      code: 'ERR_SOCKET_TUNER_PREFORK_CLEANUP',
      message: expect.stringContaining('{ reason: 1n }') as string,
    })
  })

  it('rejects restart() after all workers are replaced', async () => {
    const { program, ready } = await start({ cleanup: 'throw' })
    const before = await pids(program)
    expect(await program.ask('restart')).toMatchObject(failure)
    await allGone(before)
    expect(before).not.toContain((await get(ready.port)).pid)
    expect(await counters(program)).toMatchObject([
      { restarts: 1, crashes: 0 },
      { restarts: 1, crashes: 0 },
    ])
  })

  it('ends the primary with the error if it is not handled', async () => {
    const { program } = await start({ cleanup: 'throw', deaf: true })
    const end = program.ask('never').catch((error: unknown) => error)
    process.kill(program.pid, 'SIGTERM')
    expect(String(await end)).toMatch(/prefork-server ended with 1:/)
    expect(program.errors).toContain("code: 'ERR_SOCKET_TUNER_PREFORK_CLEANUP'")
  })
})

describe('prefork() that fails in its own shutdown', () => {
  it('rejects with the error, and still serves accepted connections', async () => {
    const { program, ready } = await start({ fault: true })
    const before = await pids(program)
    const answer = get(ready.port, '/slow?delay=300')
    await until(
      'it is accepted',
      () => counters(program),
      (all) => all.some(({ connections }) => connections === 1),
    )
    const fault = { code: 'EFAULT', message: 'a fault in the shutdown' }
    expect(await program.ask('close')).toMatchObject(fault)
    expect(await program.ask('ended')).toMatchObject(fault)
    expect(before).toContain((await answer).pid)
    await allGone(before)
    expect(await isOpen(ready.port)).toBe(false)
  })

  it('ends the primary with the error if it is not handled', async () => {
    const { program } = await start({ fault: true, deaf: true })
    const before = await pids(program)
    const end = program.ask('never').catch((error: unknown) => error)
    process.kill(program.pid, 'SIGTERM')
    expect(String(await end)).toMatch(/prefork-server ended with 1:/)
    expect(program.errors).toContain('a fault in the shutdown')
    await allGone(before)
  })
})

describe('prefork() with invalid arguments', () => {
  const serve = (): undefined => undefined

  it.each<[string, unknown, string]>([
    ['no workers', { workers: 0 }, 'ERR_OUT_OF_RANGE'],
    ['10,000 workers', { workers: 10_000 }, 'ERR_OUT_OF_RANGE'],
    ['half a worker', { workers: 1.5 }, 'ERR_OUT_OF_RANGE'],
    ['workers as a string', { workers: '2' }, 'ERR_INVALID_ARG_TYPE'],
    ['an unknown steering', { steering: 'random' }, 'ERR_INVALID_ARG_VALUE'],
    ['a port out of range', { port: 65_536 }, 'ERR_OUT_OF_RANGE'],
    ['the path of a unix-domain socket', { path: '/tmp/socket' }, 'ERR_INVALID_ARG_VALUE'],
    ['a host that is not a string', { host: 1 }, 'ERR_INVALID_ARG_TYPE'],
    ['a backlog of NaN', { backlog: Number.NaN }, 'ERR_OUT_OF_RANGE'],
    ['no serve', { serve: undefined }, 'ERR_INVALID_ARG_TYPE'],
    ['arguments that are not strings', { args: [1] }, 'ERR_INVALID_ARG_TYPE'],
    ['a crash limit of 0', { crashLimit: 0 }, 'ERR_OUT_OF_RANGE'],
    ['an unknown option', { settings: { NO_SUCH: 1 } }, 'ERR_SOCKET_TUNER_UNKNOWN_OPTION'],
    ['SO_REUSEPORT', { settings: { SO_REUSEPORT: true } }, 'ERR_INVALID_ARG_VALUE'],
    ['an age of 0', { maxConnectionAgeMs: 0 }, 'ERR_OUT_OF_RANGE'],
    [
      'a shutdownOverMs above shutdownTimeoutMs',
      { shutdownOverMs: 2, shutdownTimeoutMs: 1 },
      'ERR_INVALID_ARG_VALUE',
    ],
    ['null', null, 'ERR_INVALID_ARG_TYPE'],
  ])('refuses %s', async (_, wrong, code) => {
    const options = wrong === null ? null : { host, serve, ...(wrong as object) }
    await expect(prefork(options as PreforkOptions)).rejects.toThrow(coded(code))
  })

  it('refuses settings if node:cluster opens the socket', async () => {
    const options = { host, serve, steering: 'cluster', settings: { TCP_NODELAY: true } } as const
    await expect(prefork(options)).rejects.toThrow(coded('ERR_SOCKET_TUNER_UNSUPPORTED'))
  })

  it("rejects with Node's error for a port in use, even if its listener has SO_REUSEPORT", async () => {
    const { port, close } = await usedPort()
    await expect(prefork({ host, port, serve })).rejects.toMatchObject({
      code: 'EADDRINUSE',
      syscall: 'listen',
      address: host,
      port,
    })
    close()
    if (!isLinux) return
    const { ready } = await start()
    await expect(prefork({ host, port: ready.port, serve })).rejects.toThrow(coded('EADDRINUSE'))
  })

  it("rejects with Node's error for a port in use if node:cluster opens the socket", async () => {
    const { port } = await usedPort()
    const { ready } = await start({ steering: 'cluster', port })
    expect(ready).toMatchObject({ error: { code: 'EADDRINUSE', port }, pids: [] })
  })

  it('refuses an address that is not of this host', async () => {
    await expect(prefork({ host: FOREIGN, serve })).rejects.toThrow(coded('EADDRNOTAVAIL'))
  })

  it('refuses to run in a cluster worker that it did not start', async () => {
    const { stdout } = await run(process.execPath, [WORKER_PROGRAM])
    expect(stdout).toBe('ERR_SOCKET_TUNER_PREFORK_PLACE')
  })

  it('refuses to run in a worker thread', async () => {
    const file = JSON.stringify(path.join(__dirname, '../../dist/prefork/index.js'))
    const code = `require(${file}).prefork({ serve() {} }).catch((error) =>
      require('node:worker_threads').parentPort.postMessage(error.code))`
    const thread = new Worker(code, { eval: true })
    expect(await once(thread, 'message')).toEqual(['ERR_SOCKET_TUNER_PREFORK_PLACE'])
    await thread.terminate()
  })
})

async function untilEnded(program: Program): Promise<{ code: string; message: string }> {
  const ended = await until(
    'the group has ended',
    () => program.ask('ended'),
    (end) => end !== undefined,
  )
  return ended as { code: string; message: string }
}

async function usedPort(): Promise<{ port: number; close: () => void }> {
  const server = net.createServer()
  const close = (): void => {
    server.close()
  }
  closeLater(close)
  server.listen(0, host)
  await once(server, 'listening')
  return { port: (server.address() as net.AddressInfo).port, close }
}

async function freePort(): Promise<{ port: number }> {
  const { port, close } = await usedPort()
  close()
  return { port }
}

/** Sends one request, and returns the answer. */
async function askBy(kind: string, port: number, certificate?: Certificate): Promise<unknown> {
  if (kind === 'net') return json(net.connect(port, host))
  if (kind === 'http2') {
    const session = http2.connect(`http://${host}:${String(port)}`)
    closeLater(() => {
      session.destroy()
    })
    return json(session.request({ ':path': '/' }))
  }
  const { cert = '' } = certificate ?? {}
  const request = https.get({ host, port, servername: 'localhost', ca: cert, agent: false })
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  return json(response)
}
