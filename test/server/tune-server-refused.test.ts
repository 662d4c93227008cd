/** Settings that the listening socket refuses: how and when tuneServer() reports them. */
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
/** The library accepts this value, and every socket refuses it. */
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
  it("is emitted as 'error' if the server listens later, which then serves untuned", async () => {
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

  it("is emitted as 'error' after tuneServer() has returned if the server already listens", async () => {
    const server = await listening(net.createServer())
    tuneServer(server, { settings: refused })
    expect(await once(server, 'error')).toEqual([coded('ENODEV')])
    expect(server.listening).toBe(true)
  })

  it("is emitted only once, even if tuneServer() is called between listen() and 'listening'", async () => {
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

  it("only rejects `applied` if the program has read it and 'error' has no listener", async () => {
    const now = await listening(net.createServer())
    await expect(tuneServer(now, { settings: refused }).applied).rejects.toThrow(coded('ENODEV'))
    const later = net.createServer()
    const { applied } = tuneServer(later, { settings: refused })
    later.listen(0, host)
    serverOf(later)
    await expect(applied).rejects.toThrow(coded('ENODEV'))
  })

  it('rejects `applied` even if it is read afterwards', async () => {
    const server = await listening(net.createServer())
    const tuning = tuneServer(server, { settings: refused })
    await once(server, 'error')
    await expect(tuning.applied).rejects.toThrow(coded('ENODEV'))
  })

  it("both rejects `applied` and is emitted if the program has read it and 'error' has a listener", async () => {
    const server = await listening(net.createServer())
    const failed = once(server, 'error')
    await expect(tuneServer(server, { settings: refused }).applied).rejects.toThrow(coded('ENODEV'))
    expect(await failed).toEqual([coded('ENODEV')])
  })

  it("is also emitted for a hazard after configure({ hazards: 'throw' })", async () => {
    const server = net.createServer()
    tuneServer(server, { settings: { SO_LINGER: { enabled: true, seconds: 0 } } })
    configure({ hazards: 'throw' })
    serverOf(server).listen(0, host)
    expect(await once(server, 'error')).toEqual([coded('ERR_SOCKET_TUNER_HAZARD')])
  })

  it.each(['listens', 'does not listen yet'])(
    "ends the process with an uncaught 'error' if a server that %s has no listener",
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

  it('is emitted in a worker thread, and is an error of the thread if there is no listener', async () => {
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
  it('applies to each listening socket of the server', async () => {
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

  it("counts a connection once if the server is tuned between listen() and 'listening'", async () => {
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

  it('rejects `applied` if the server is closed, or the tuning is stopped, before the server listens', async () => {
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

  it('leaves no listener on the server after it was stopped', async () => {
    const server = await listening(net.createServer())
    const before = server.eventNames()
    const tuning = tuneServer(server, { settings: { SO_PRIORITY: 3 }, close: 'deliver' })
    await tuning.applied
    tuning.stop()
    expect(server.eventNames()).toEqual(before)
  })

  it('sets the options on each connection of a unix-domain server, since connections inherit nothing', async () => {
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

  it("is emitted as 'error' if a TCP option is set on a unix-domain server", async () => {
    const server = net.createServer()
    tuneServer(server, { settings: { TCP_NODELAY: true } })
    serverOf(server).listen(path.join(os.tmpdir(), `tune-refused-${String(process.pid)}.sock`))
    expect(await once(server, 'error')).toEqual([coded('ERR_SOCKET_TUNER_WRONG_SOCKET')])
  })
})
