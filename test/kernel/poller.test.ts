import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import * as net from 'node:net'
import { constants as os } from 'node:os'
import { native } from '../../lib/kernel/binding'
import { Poller, type PollerEvents } from '../../lib/kernel/poller'
import { transportFd } from '../../lib/node/handle'
import { useNativeProgram } from '../helpers/native-program'
import { until } from '../helpers/until'
import { closeLater, destroyLater, handOver, listen, succeed, tcpSocket } from '../sockets'

// Only Linux has epoll(7).
const linux = process.platform === 'linux' ? describe : describe.skip

/** Records the events of a poller. */
class Log implements PollerEvents {
  readonly opened_: number[] = []
  readonly bytes = new Map<number, Buffer[]>()
  readonly ended_: number[] = []
  readonly failures: [slot: number, errno: number][] = []
  turns = 0
  onInput: ((slot: number) => void) | undefined

  opened(slot: number): void {
    this.opened_.push(slot)
  }

  input(slot: number, buffer: Buffer, from: number, to: number): void {
    const parts = this.bytes.get(slot) ?? []
    parts.push(Buffer.from(buffer.subarray(from, to)))
    this.bytes.set(slot, parts)
    this.onInput?.(slot)
  }

  ended(slot: number): void {
    this.ended_.push(slot)
  }

  failed(slot: number, errno: number): void {
    this.failures.push([slot, errno])
  }

  turned(): void {
    this.turns++
  }

  bytesOf(slot: number): Buffer {
    return Buffer.concat(this.bytes.get(slot) ?? [])
  }
}

function openPoller(): { poller: Poller; log: Log } {
  const log = new Log()
  const poller = Poller.open()
  if (poller === undefined) throw new Error('there is no poller')
  poller.listener = log
  closeLater(() => {
    poller.close()
  })
  return { poller, log }
}

/** Begins to connect. @returns the slot and the descriptor */
function connectTo(poller: Poller, port: number): { slot: number; fd: number } {
  const fd = handOver(tcpSocket())
  const result = native.connectFd(fd, '127.0.0.1', port)
  expect([0, -os.errno.EINPROGRESS]).toContain(result)
  const slot = succeed(poller.watch(fd))
  closeLater(() => {
    poller.unwatch(slot)
    native.closeFd(fd)
  })
  return { slot, fd }
}

async function serve(onConnection: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    destroyLater(socket)
    onConnection(socket)
  })
  return listen(server)
}

linux('Poller', () => {
  const sendUrgent = useNativeProgram('kernel/urgent.c')

  it('reports the connection, what the peer sends, and its end, in this order', async () => {
    const port = await serve((socket) => socket.pipe(socket))
    const { poller, log } = openPoller()
    const order: string[] = []
    log.onInput = () => order.push('input')
    const { slot, fd } = connectTo(poller, port)
    await until(
      'the connection',
      () => log.opened_,
      ({ length }) => length > 0,
    )
    expect(log.opened_).toEqual([slot])
    expect(poller.write(slot, Buffer.from('hello'))).toBe(5)
    await until(
      'the echo',
      () => log.bytesOf(slot).length,
      (length) => length === 5,
    )
    expect(log.bytesOf(slot).toString()).toBe('hello')
    expect(log.ended_).toEqual([])
    native.shutdownWrite(fd)
    await until(
      'the end',
      () => log.ended_,
      ({ length }) => length > 0,
    )
    expect(log.ended_).toEqual([slot])
    expect(log.failures).toEqual([])
    expect(log.turns).toBeGreaterThan(0)
  })

  it('reads what was sent before a FIN that is already there', async () => {
    const port = await serve((socket) => socket.end('all of it'))
    const { poller, log } = openPoller()
    const { slot } = connectTo(poller, port)
    await until(
      'the end',
      () => log.ended_,
      ({ length }) => length > 0,
    )
    expect(log.bytesOf(slot).toString()).toBe('all of it')
  })

  it('reads more than fits into its memory, from several sockets', async () => {
    const sent = Buffer.alloc(3_000_000, 'abcdefghi')
    const port = await serve((socket) => socket.end(sent))
    const { poller, log } = openPoller()
    const slots = Array.from({ length: 3 }, () => connectTo(poller, port).slot)
    await until(
      'the ends',
      () => log.ended_,
      ({ length }) => length === slots.length,
    )
    for (const slot of slots) expect(log.bytesOf(slot).equals(sent)).toBe(true)
  })

  it('handles more events than fit into one turn', async () => {
    const port = await serve((socket) => socket.end('x'))
    const { poller, log } = openPoller()
    const slots = Array.from({ length: 400 }, () => connectTo(poller, port).slot)
    await until(
      'the ends',
      () => log.ended_.length,
      (length) => length === slots.length,
    )
    expect(new Set(log.ended_)).toEqual(new Set(slots))
    for (const slot of slots) expect(log.bytesOf(slot).toString()).toBe('x')
  })

  it('reports the errno of a connection that is refused', async () => {
    const port = await serve(() => undefined)
    const server = net.createServer()
    const closed = await listen(server)
    server.close()
    await once(server, 'close')
    expect(closed).not.toBe(port)
    const { poller, log } = openPoller()
    const { slot } = connectTo(poller, closed)
    await until(
      'the failure',
      () => log.failures,
      ({ length }) => length > 0,
    )
    expect(log.failures).toEqual([[slot, os.errno.ECONNREFUSED]])
    expect(log.opened_).toEqual([])
  })

  it('reports a reset after what was sent before it', async () => {
    const port = await serve((socket) => {
      socket.once('data', () => {
        socket.write('last', () => socket.resetAndDestroy())
      })
    })
    const { poller, log } = openPoller()
    const { slot } = connectTo(poller, port)
    await until(
      'the connection',
      () => log.opened_,
      ({ length }) => length > 0,
    )
    poller.write(slot, Buffer.from('x'))
    await until(
      'the failure',
      () => log.failures,
      ({ length }) => length > 0,
    )
    expect(log.bytesOf(slot).toString()).toBe('last')
    expect(log.failures).toEqual([[slot, os.errno.ECONNRESET]])
  })

  it('reports a reset while bytes wait in its queue', async () => {
    let peer: net.Socket | undefined
    const port = await serve((socket) => {
      socket.pause()
      peer = socket
    })
    const { poller, log } = openPoller()
    const { slot } = connectTo(poller, port)
    await until(
      'the server',
      () => peer !== undefined && log.opened_.length > 0,
      (both) => both,
    )
    poller.write(slot, Buffer.alloc(12_000_000))
    expect(poller.queued(slot)).toBeGreaterThan(0)
    peer?.resetAndDestroy()
    await until(
      'the failure',
      () => log.failures.length + log.ended_.length,
      (length) => length > 0,
    )
    expect(log.failures).toEqual([[slot, os.errno.ECONNRESET]])
    expect(log.ended_).toEqual([])
  })

  it('reads what follows urgent data', async () => {
    const server = net.createServer({ pauseOnConnect: true })
    const client = handOver(tcpSocket())
    native.connectFd(client, '127.0.0.1', await listen(server))
    closeLater(() => native.closeFd(client))
    const [socket] = (await once(server, 'connection')) as [net.Socket]
    destroyLater(socket)
    execFileSync(sendUrgent(), { stdio: ['ignore', 'inherit', 'inherit', client] })
    const { poller, log } = openPoller()
    const slot = succeed(poller.watch(transportFd(socket)))
    await until(
      'all of it',
      () => log.bytesOf(slot).toString(),
      (text) => text.endsWith('after'),
    )
    expect(log.bytesOf(slot).toString()).toBe('beforeafter')
    poller.unwatch(slot)
  })

  it('keeps what the kernel does not take, and sends it in order', async () => {
    const sent = Buffer.alloc(12_000_000)
    for (let i = 0; i < sent.length; i += 4) sent.writeUInt32LE(i, i)
    const received: Buffer[] = []
    let reader: net.Socket | undefined
    const port = await serve((socket) => {
      socket.pause()
      reader = socket
      socket.on('data', (chunk: Buffer) => received.push(chunk))
      socket.pause()
    })
    const { poller, log } = openPoller()
    const { slot, fd } = connectTo(poller, port)
    await until(
      'the connection',
      () => log.opened_,
      ({ length }) => length > 0,
    )
    const taken = poller.write(slot, sent.subarray(0, 8_000_000))
    expect(taken).toBeLessThan(8_000_000)
    expect(poller.write(slot, sent.subarray(8_000_000))).toBe(0)
    expect(poller.queued(slot)).toBe(sent.length - taken)
    await until(
      'the server',
      () => reader,
      (socket) => socket !== undefined,
    )
    reader?.resume()
    await until(
      'the queue',
      () => poller.queued(slot),
      (queued) => queued === 0,
    )
    native.shutdownWrite(fd)
    await once(reader ?? new net.Socket(), 'end')
    expect(Buffer.concat(received).equals(sent)).toBe(true)
  })

  it('reports nothing of a socket that it has forgotten, and uses its slot again after the turn', async () => {
    const port = await serve((socket) => {
      socket.write('x')
      socket.on('data', () => undefined)
    })
    const { poller, log } = openPoller()
    const fds = Array.from({ length: 4 }, () => connectTo(poller, port))
    const seen: number[] = []
    const reused: number[] = []
    log.onInput = (slot) => {
      seen.push(slot)
      poller.unwatch(slot)
      const { slot: next } = connectTo(poller, port)
      if (fds.some((each) => each.slot === next)) reused.push(next)
      log.onInput = (other) => seen.push(other)
    }
    await until(
      'the input',
      () => seen.length,
      (length) => length >= 5,
    )
    const [forgotten] = seen
    expect(reused).toEqual([])
    expect(seen.filter((slot) => slot === forgotten)).toHaveLength(1)
    const { slot: later } = connectTo(poller, port)
    expect(later).toBe(forgotten)
  })

  it('returns an errno for descriptors that cannot be polled and slots that are free', () => {
    const { poller } = openPoller()
    expect(poller.watch(2 ** 30)).toBe(-os.errno.EBADF)
    expect(poller.write(7, Buffer.from('x'))).toBe(-os.errno.EBADF)
    expect(poller.queued(7)).toBe(0)
    poller.close()
    expect(poller.watch(tcpSocket())).toBe(-os.errno.EINVAL)
  })
})
