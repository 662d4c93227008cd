/**
 * Sockets for tests, all on loopback. Whatever is opened here is closed after each test of the
 * file that imports it.
 */
import { once } from 'node:events'
import { closeSync, readFileSync } from 'node:fs'
import * as net from 'node:net'
import { types } from 'node:util'
import { configure, tcpInfo } from '../lib'
import { native } from '../lib/kernel/binding'

export type Family = 4 | 6

const CAP_NET_ADMIN = 12n
const CAP_NET_RAW = 13n

/** Whether this process has the capabilities that some options need: root, but not in every container. */
export const isPrivileged = hasCapabilities()

function hasCapabilities(): boolean {
  if (process.platform !== 'linux') return process.getuid?.() === 0
  const [, mask = '0'] = /^CapEff:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  const needed = (1n << CAP_NET_ADMIN) | (1n << CAP_NET_RAW)
  return (BigInt(`0x${mask}`) & needed) === needed
}

export const loopback = { 4: '127.0.0.1', 6: '::1' } as const

/** How long the kernel may take for a segment on loopback: much more than it ever does. */
export const DELIVERED_WITHIN_MS = 10_000

const closers: (() => void)[] = []
const descriptors = new Set<number>()

/** Closes all that is open, but for what has been closed by other means; done after each test. */
export function closeAll(closed?: number): void {
  if (closed !== undefined) descriptors.delete(closed)
  for (const close of closers.splice(0).reverse()) close()
  for (const fd of descriptors) closeSync(fd)
  descriptors.clear()
}

afterEach(() => {
  closeAll()
  configure({ hazards: 'warn' })
})

/** Calls `close` when the running test is over. */
export function closeLater(close: () => void): void {
  closers.push(close)
}

/** A number of the kernel that the tests cannot do without. */
export function constant(name: string): number {
  const value = native.constants[name]
  if (value === undefined) throw new Error(`native.constants has no ${name}`)
  return value
}

/** Gives a descriptor to one who will close it. */
export function handOver(fd: number): number {
  descriptors.delete(fd)
  return fd
}

function open(domain: string, type: string, protocol = 0): number {
  const fd = succeed(native.openSocket(constant(domain), constant(type), protocol))
  descriptors.add(fd)
  return fd
}

/** A TCP socket that is neither bound nor connected. */
export function tcpSocket(family: Family = 4): number {
  return open(family === 4 ? 'AF_INET' : 'AF_INET6', 'SOCK_STREAM')
}

/** A UDP socket that is not bound. */
export function udpSocket(family: Family = 4): number {
  return open(family === 4 ? 'AF_INET' : 'AF_INET6', 'SOCK_DGRAM')
}

/** An IPv4 Multipath TCP socket; negative where the kernel has none. */
export function mptcpSocket(): number {
  const fd = native.openSocket(constant('AF_INET'), constant('SOCK_STREAM'), 262)
  if (fd >= 0) descriptors.add(fd)
  return fd
}

/** A unix-domain stream socket that is not connected. */
export function unixSocket(): number {
  return open('AF_UNIX', 'SOCK_STREAM')
}

/** A TCP socket of its own that is bound to a port that the kernel chose. */
export function boundSocket(family: Family = 4): number {
  const fd = tcpSocket(family)
  succeed(native.bindFd(fd, loopback[family], 0))
  return fd
}

/** A listening TCP socket, on a port that the kernel chose. */
export function listeningSocket(family: Family = 4): number {
  const fd = boundSocket(family)
  succeed(native.listenFd(fd, 16))
  return fd
}

/** A port of a listener whose accept queue is full: the SYN of who connects to it is dropped. */
export function fullListener(address: string = loopback[4]): number {
  const family = address.includes(':') ? 6 : 4
  const fd = tcpSocket(family)
  succeed(native.bindFd(fd, address, 0))
  succeed(native.listenFd(fd, 0))
  const port = succeed(native.localPort(fd))
  native.connectFd(tcpSocket(family), address, port)
  native.connectFd(tcpSocket(family), address, port)
  if (process.platform !== 'linux') return port
  // A busy processor may handle the SYN after connect(2) has returned.
  const began = performance.now()
  while (tcpInfo(fd).unacked === 0) {
    if (performance.now() - began > DELIVERED_WITHIN_MS) throw new Error('the queue stays empty')
  }
  return port
}

/** Throws when a native function has failed. */
export function succeed(result: number): number {
  if (result < 0) throw new Error(`native call failed: ${String(result)}`)
  return result
}

/** A descriptor number that is not open until the next one is opened. */
export function closedDescriptor(): number {
  const fd = handOver(tcpSocket())
  closeSync(fd)
  return fd
}

/** The server, listening on loopback. */
export async function listen(server: net.Server, host: string = loopback[4]): Promise<number> {
  closeLater(() => {
    server.close()
  })
  server.listen(0, host)
  await once(server, 'listening')
  return (server.address() as net.AddressInfo).port
}

export interface Pair {
  server: net.Server
  client: net.Socket
  accepted: net.Socket
}

/** A connection made by net.connect() to a net.Server, both ends open. */
export async function connectedPair(host: string = loopback[4]): Promise<Pair> {
  const server = net.createServer({ pauseOnConnect: true })
  const port = await listen(server, host)
  const connection = once(server, 'connection')
  const client = net.connect(port, host)
  destroyLater(client)
  const [[accepted]] = (await Promise.all([connection, once(client, 'connect')])) as unknown as [
    [net.Socket],
  ]
  destroyLater(accepted)
  return { server, client, accepted }
}

/** Destroys the stream after the test, whatever errors it may still have. */
export function destroyLater(stream: net.Socket): void {
  stream.on('error', () => undefined)
  closeLater(() => {
    stream.destroy()
  })
}

/** What `call` throws; fails when it does not. */
export function failureOf(call: () => unknown): Error & Record<string, unknown> {
  let result: unknown
  try {
    result = call()
  } catch (error) {
    if (types.isNativeError(error)) return error as Error & Record<string, unknown>
    throw new Error(`Threw what is no error: ${String(error)}`)
  }
  throw new Error(`Expected an error, got ${String(result)}`)
}

/** The warnings that this library gave while `call` ran, as process.emitWarning got them. */
export function warningsOf(call: () => void): { message: string; code: string; detail: string }[] {
  const emitted: { message: string; code: string; detail: string }[] = []
  const spy = jest.spyOn(process, 'emitWarning').mockImplementation(((
    message: string,
    options: { code: string; detail: string },
  ) => {
    emitted.push({ message, ...options })
  }) as typeof process.emitWarning)
  try {
    call()
  } finally {
    spy.mockRestore()
  }
  return emitted
}

/** Runs `call` without the capabilities of root, which this process then has again. */
export function unprivileged<T>(call: () => T): T {
  if (process.geteuid?.() !== 0) return call()
  process.seteuid?.(65_534)
  try {
    return call()
  } finally {
    process.seteuid?.(0)
  }
}

/** The native functions that were called while `call` ran, all of them still working. */
export function nativeCallsOf(call: () => unknown): string[] {
  const calls: string[] = []
  const functions = native as unknown as Record<string, (...args: unknown[]) => number>
  const names = Object.keys(functions).filter((name) => name !== 'constants')
  const spies = names.map((name) => {
    const real = functions[name]
    if (real === undefined) throw new Error(`no native ${name}`)
    return jest.spyOn(functions, name).mockImplementation((...args) => {
      calls.push(name)
      return real(...args)
    })
  })
  try {
    call()
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
  return calls
}

/** Resolves when `condition` holds, looked at once in every turn of the event loop. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve)
    })
  }
}
