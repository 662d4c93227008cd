/**
 * Sockets on loopback for tests. Everything that is opened here is closed after each test of the
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

/** Whether this process has the capabilities that some options need. In some containers root lacks them. */
export const isPrivileged = hasCapabilities()

function hasCapabilities(): boolean {
  if (process.platform !== 'linux') return process.getuid?.() === 0
  const [, mask = '0'] = /^CapEff:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  const needed = (1n << CAP_NET_ADMIN) | (1n << CAP_NET_RAW)
  return (BigInt(`0x${mask}`) & needed) === needed
}

export const loopback = { 4: '127.0.0.1', 6: '::1' } as const

/** The time within which the kernel delivers a segment on loopback. It needs far less. */
export const DELIVERED_WITHIN_MS = 10_000

const closers: (() => void)[] = []
const descriptors = new Set<number>()

/** Closes everything that is still open. Called after each test. */
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

/** Calls `close` after the running test. */
export function closeLater(close: () => void): void {
  closers.push(close)
}

/** Returns a constant of the kernel. Throws if this platform lacks it. */
export function constant(name: string): number {
  const value = native.constants[name]
  if (value === undefined) throw new Error(`native.constants has no ${name}`)
  return value
}

/** Hands a descriptor over to an owner that will close it. */
export function handOver(fd: number): number {
  descriptors.delete(fd)
  return fd
}

function open(domain: string, type: string, protocol = 0): number {
  const fd = succeed(native.openSocket(constant(domain), constant(type), protocol))
  descriptors.add(fd)
  return fd
}

/** Opens a TCP socket that is neither bound nor connected. */
export function tcpSocket(family: Family = 4): number {
  return open(family === 4 ? 'AF_INET' : 'AF_INET6', 'SOCK_STREAM')
}

/** Opens a UDP socket that is not bound. */
export function udpSocket(family: Family = 4): number {
  return open(family === 4 ? 'AF_INET' : 'AF_INET6', 'SOCK_DGRAM')
}

/** Opens an IPv4 Multipath TCP socket. Returns a negative errno if the kernel has none. */
export function mptcpSocket(): number {
  const fd = native.openSocket(constant('AF_INET'), constant('SOCK_STREAM'), 262)
  if (fd >= 0) descriptors.add(fd)
  return fd
}

/** Opens a unix-domain stream socket that is not connected. */
export function unixSocket(): number {
  return open('AF_UNIX', 'SOCK_STREAM')
}

/** Opens a TCP socket that is bound to a port that the kernel chose. */
export function boundSocket(family: Family = 4): number {
  const fd = tcpSocket(family)
  succeed(native.bindFd(fd, loopback[family], 0))
  return fd
}

/** Opens a TCP socket that listens on a port that the kernel chose. */
export function listeningSocket(family: Family = 4): number {
  const fd = boundSocket(family)
  succeed(native.listenFd(fd, 16))
  return fd
}

/** Returns the port of a listener whose accept queue is full, so that the kernel drops SYNs to it. */
export function fullListener(address: string = loopback[4]): number {
  const family = address.includes(':') ? 6 : 4
  const fd = tcpSocket(family)
  succeed(native.bindFd(fd, address, 0))
  succeed(native.listenFd(fd, 0))
  const port = succeed(native.localPort(fd))
  native.connectFd(tcpSocket(family), address, port)
  native.connectFd(tcpSocket(family), address, port)
  if (process.platform !== 'linux') return port
  // A busy processor may process the SYN after connect(2) has returned.
  const began = performance.now()
  while (tcpInfo(fd).unacked === 0) {
    if (performance.now() - began > DELIVERED_WITHIN_MS) throw new Error('the queue stays empty')
  }
  return port
}

/** Returns the result of a native function. Throws if it is a negative errno. */
export function succeed(result: number): number {
  if (result < 0) throw new Error(`native call failed: ${String(result)}`)
  return result
}

/** Returns a descriptor number that is closed until the next one is opened. */
export function closedDescriptor(): number {
  const fd = handOver(tcpSocket())
  closeSync(fd)
  return fd
}

/** Makes the server listen on loopback, and returns its port. */
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

/** Makes a connection from net.connect() to a net.Server, and returns both ends. */
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

/** Destroys the stream after the test, and ignores its errors. */
export function destroyLater(stream: net.Socket): void {
  stream.on('error', () => undefined)
  closeLater(() => {
    stream.destroy()
  })
}

/** Returns the error that `call` throws. Fails if it throws none. */
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

/** Returns the warnings that this library passed to process.emitWarning() while `call` ran. */
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

/** Runs `call` without the capabilities of root, and restores them afterwards. */
export function unprivileged<T>(call: () => T): T {
  if (process.geteuid?.() !== 0) return call()
  process.seteuid?.(65_534)
  try {
    return call()
  } finally {
    process.seteuid?.(0)
  }
}

/** Returns the names of the native functions that were called while `call` ran. */
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

/** Resolves when `condition` is true. Checks it once in every turn of the event loop. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve)
    })
  }
}
