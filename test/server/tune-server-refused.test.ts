/** Settings that the listening socket refuses: whom tuneServer() tells, and when. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import * as http from 'node:http'
import * as net from 'node:net'
import * as os from 'node:os'
import * as path from 'node:path'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { configure, getOption, tuneServer } from '../../lib'
import { coded } from '../helpers/coded'
import { closeLater, loopback } from '../sockets'

const host = loopback[4]
const run = promisify(execFile)
const library = JSON.stringify(path.join(__dirname, '..', '..', 'dist'))
/** Accepted before there is a socket, and refused by each. */
const refused = { SO_BINDTODEVICE: 'nosuch0' }

function serverOf<T extends net.Server>(server: T): T {
  closeLater(() => server.close())
  return server
}

async function listening<T extends net.Server>(server: T): Promise<T> {
  serverOf(server).listen(0, host)
  await once(server, 'listening')
  return server
}

describe('an option that the listening socket refuses', () => {
  it("is 'error' on a server that listens later, which then serves untuned", async () => {
    const server = http.createServer((_request, response) => response.end('served'))
    const tuning = tuneServer(server, { settings: { TCP_KEEPIDLE: 44, ...refused } })
    const failed = once(server, 'error')
    await listening(server)
    expect(await failed).toEqual([coded('ENODEV')])
    expect(tuning.report).toBeUndefined()
    expect(getOption(server, 'TCP_KEEPIDLE')).not.toBe(44)
    const { port } = server.address() as net.AddressInfo
    const [response] = (await once(http.get({ host, port, agent: false }), 'response')) as [
      http.IncomingMessage,
    ]
    response.resume()
    expect(response.statusCode).toBe(200)
  })

  it("is 'error' on a server that listens already, after tuneServer() has returned", async () => {
    const server = await listening(net.createServer())
    tuneServer(server, { settings: refused })
    expect(await once(server, 'error')).toEqual([coded('ENODEV')])
    expect(server.listening).toBe(true)
  })

  it('is emitted once, also when tuneServer() is called between listen() and the event', async () => {
    const errors: Error[] = []
    const server = serverOf(net.createServer()).on('error', (error) => errors.push(error))
    server.listen(0, host)
    tuneServer(server, { settings: refused })
    await once(server, 'listening')
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
    expect(errors).toEqual([coded('ENODEV')])
  })

  it('rejects `applied` for whoever reads it, and is nothing else where nobody listens', async () => {
    const now = await listening(net.createServer())
    await expect(tuneServer(now, { settings: refused }).applied).rejects.toThrow(coded('ENODEV'))
    const later = net.createServer()
    const { applied } = tuneServer(later, { settings: refused })
    later.listen(0, host)
    serverOf(later)
    await expect(applied).rejects.toThrow(coded('ENODEV'))
  })

  it('rejects `applied` also when it is read afterwards', async () => {
    const server = await listening(net.createServer())
    const tuning = tuneServer(server, { settings: refused })
    await once(server, 'error')
    await expect(tuning.applied).rejects.toThrow(coded('ENODEV'))
  })

  it('is told to both where `applied` was read and somebody listens', async () => {
    const server = await listening(net.createServer())
    const failed = once(server, 'error')
    await expect(tuneServer(server, { settings: refused }).applied).rejects.toThrow(coded('ENODEV'))
    expect(await failed).toEqual([coded('ENODEV')])
  })

  it("is 'error' for a hazard too, after configure({ hazards: 'throw' })", async () => {
    const server = net.createServer()
    tuneServer(server, { settings: { SO_LINGER: { enabled: true, seconds: 0 } } })
    configure({ hazards: 'throw' })
    serverOf(server).listen(0, host)
    expect(await once(server, 'error')).toEqual([coded('ERR_SOCKET_TUNER_HAZARD')])
  })

  it.each(['listens', 'does not listen yet'])(
    "ends the process by an uncaught 'error' where a server that %s has no listener",
    async (state) => {
      const program = `
        const { tuneServer } = require(${library})
        const server = require('node:net').createServer()
        const tune = () => { tuneServer(server, { settings: ${JSON.stringify(refused)} }) }
        process.on('uncaughtException', ({ code }, origin) => {
          process.stdout.write(code + ' ' + origin)
          server.close()
        })
        if (${String(state === 'listens')}) server.listen(0, '127.0.0.1', tune)
        else { tune(); server.listen(0, '127.0.0.1') }`
      const { stdout } = await run(process.execPath, ['-e', program])
      expect(stdout).toBe('ENODEV uncaughtException')
    },
  )

  it("is 'error' on the server in a worker thread, and of the thread where it has no listener", async () => {
    const program = `
      const { tuneServer } = require(${library})
      const server = require('node:net').createServer()
      tuneServer(server, { settings: ${JSON.stringify(refused)} })
      server.listen(0, '127.0.0.1')`
    const thread = new Worker(program, { eval: true })
    expect(await once(thread, 'error')).toEqual([coded('ENODEV')])
  })
})

describe('the tuning of a server', () => {
  it('is put on each listening socket that the server has', async () => {
    const server = net.createServer()
    tuneServer(server, { settings: { TCP_KEEPIDLE: 44 } })
    for (let i = 0; i < 2; i++) {
      server.listen(0, host)
      await once(server, 'listening')
      expect(getOption(server, 'TCP_KEEPIDLE')).toBe(44)
      server.close()
      await once(server, 'close')
    }
  })

  it('counts a connection once where the server is tuned between listen() and the event', async () => {
    const server = serverOf(net.createServer())
    server.listen(0, host)
    const tuning = tuneServer(server, { settings: { SO_PRIORITY: 3 } })
    await once(server, 'listening')
    const { port } = server.address() as net.AddressInfo
    const client = net.connect(port, host)
    closeLater(() => client.destroy())
    const [accepted] = (await once(server, 'connection')) as [net.Socket]
    closeLater(() => accepted.destroy())
    expect(tuning.counters().tuned).toBe(1)
  })

  it('rejects `applied` when the server is closed, or the tuning stopped, before the server listens', async () => {
    const closed = net.createServer()
    const { applied } = tuneServer(closed, { settings: { TCP_KEEPIDLE: 44 } })
    closed.close()
    await expect(applied).rejects.toMatchObject({
      code: 'ERR_SOCKET_TUNER_NO_HANDLE',
      message: expect.stringContaining('closed before') as string,
    })
    const tuning = tuneServer(net.createServer(), { settings: { TCP_KEEPIDLE: 44 } })
    const waiting = tuning.applied
    tuning.stop()
    await expect(waiting).rejects.toThrow(coded('ERR_SOCKET_TUNER_NO_HANDLE'))
    await expect(tuning.applied).rejects.toThrow(coded('ERR_SOCKET_TUNER_NO_HANDLE'))
  })

  it('leaves no listener on the server when it was stopped', async () => {
    const server = await listening(net.createServer())
    const before = server.eventNames()
    const tuning = tuneServer(server, { settings: { SO_PRIORITY: 3 }, close: 'deliver' })
    await tuning.applied
    tuning.stop()
    expect(server.eventNames()).toEqual(before)
  })

  it('is set on each connection of a unix-domain server, where nothing is inherited', async () => {
    const server = serverOf(net.createServer())
    server.listen(path.join(os.tmpdir(), `tune-server-${String(process.pid)}.sock`))
    await once(server, 'listening')
    const tuning = tuneServer(server, { settings: { SO_SNDBUF: 30_000 } })
    expect(tuning.perConnection).toEqual(['SO_SNDBUF'])
    const client = net.connect(server.address() as string)
    closeLater(() => client.destroy())
    const [accepted] = (await once(server, 'connection')) as [net.Socket]
    closeLater(() => accepted.destroy())
    expect(getOption(accepted, 'SO_SNDBUF')).toBe(60_000)
    expect(tuning.counters().tuned).toBe(1)
  })

  it("is 'error' for an option of TCP on a unix-domain server", async () => {
    const server = net.createServer()
    tuneServer(server, { settings: { TCP_NODELAY: true } })
    serverOf(server).listen(path.join(os.tmpdir(), `tune-refused-${String(process.pid)}.sock`))
    expect(await once(server, 'error')).toEqual([coded('ERR_SOCKET_TUNER_WRONG_SOCKET')])
  })
})
