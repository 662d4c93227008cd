'use strict'

/**
 * Runs schedules, each on one connection with both ends in this process, any number at a time. See
 * test/helpers/schedules.ts for the fields of a schedule.
 */
const { readSync } = require('node:fs')
const net = require('node:net')
const tls = require('node:tls')
const { once } = require('node:events')
const { setTimeout: pause } = require('node:timers/promises')
const { closeSocket, connect, setCloseMode, setOption, tcpInfo, tune } = require('../../../dist')
const { config, ready } = require('./parent')

const { certificate, deadlineMs } = config

/** The content of each stream: a pattern whose period divides no buffer size. */
const PERIOD = 65_521
const pattern = Buffer.alloc(4 * PERIOD)
for (let at = 0; at < pattern.length; at++) pattern[at] = ((at % PERIOD) * 167) >> 3

/**
 * Starts a server for one connection. A shared server could not identify a connection that was reset before accept():
 * the kernel no longer reports its peer.
 */
async function serve({ listen: host, transport, closer, peer }) {
  const isTls = transport === 'tls'
  const options = { allowHalfOpen: true, pauseOnConnect: !isTls }
  const server = isTls
    ? tls.createServer({ ...certificate, ...options })
    : net.createServer(options)
  server.on('tlsClientError', () => undefined)
  server.listen({ host, port: 0 })
  await once(server, 'listening')
  // Set on the listening socket: on a connection it would shrink a window that is already announced.
  if (closer === 'client' && peer.receiveBuffer > 0)
    setOption(server, 'SO_RCVBUF', peer.receiveBuffer)
  const accepted = once(server, isTls ? 'secureConnection' : 'connection').then(([socket]) => {
    socket.on('error', () => undefined)
    server.close()
    return socket
  })
  return { port: server.address().port, accepted }
}

async function open(schedule) {
  const { host, transport, closer, peer } = schedule
  const { port, accepted } = await serve(schedule)
  const to = { host, port, allowHalfOpen: true }
  const isTls = transport === 'tls'
  const settings =
    closer === 'server' && peer.receiveBuffer > 0 ? { SO_RCVBUF: peer.receiveBuffer } : {}
  const client = isTls
    ? tls.connect({ ...to, ca: certificate.cert, servername: 'localhost' })
    : connect({ ...to, settings })
  client.pause()
  client.on('error', () => undefined)
  return { client, accepted, isConnected: once(client, isTls ? 'secureConnect' : 'connect') }
}

/** Counts the received bytes, and compares them with the pattern. */
function watch(socket) {
  const seen = { bytes: 0, isIntact: true, ended: false }
  seen.take = (chunk) => {
    for (let at = 0; at < chunk.length;) {
      const start = (seen.bytes + at) % PERIOD
      const end = Math.min(pattern.length, start + chunk.length - at)
      if (chunk.compare(pattern, start, end, at, at + end - start) !== 0) seen.isIntact = false
      at += end - start
    }
    seen.bytes += chunk.length
  }
  socket.on('data', seen.take)
  socket.on('end', () => (seen.ended = true))
  socket.on('error', ({ code }) => (seen.error ??= code))
  seen.isOver = new Promise((resolve) => {
    socket.on('end', resolve)
    socket.on('close', resolve)
  })
  return seen
}

/**
 * Reads the input that Node has not read when it closes the socket: after a failed write, Node abandons the input.
 */
function takeUnread(socket, { take }) {
  const destroy = socket._destroy
  const buffer = Buffer.allocUnsafe(65_536)
  socket._destroy = function (...args) {
    const fd = socket._handle?.fd ?? -1
    try {
      for (let bytes; fd >= 0 && (bytes = readSync(fd, buffer)) > 0;)
        take(buffer.subarray(0, bytes))
    } catch {
      // There is no more input.
    }
    return destroy.apply(this, args)
  }
}

/** Runs the steps of one end, and returns the number of bytes written. */
async function play(socket, steps) {
  let written = 0
  for (const { write = 0, pauseMs = 0 } of steps) {
    for (let left = write; left > 0;) {
      const from = written % PERIOD
      const length = Math.min(left, pattern.length - from)
      socket.write(pattern.subarray(from, from + length))
      written += length
      left -= length
    }
    if (pauseMs > 0) await pause(pauseMs)
  }
  return written
}

async function until(condition) {
  for (let ms = 1; !condition(); ms = Math.min(2 * ms, 20)) await pause(ms)
}

/** Whether all data of the peer is in the kernel of the closing end, or, on TLS, has been read. */
function hasAll(socket, seen, { transport }, { bytes, ended }) {
  if (socket.destroyed) return true
  if (transport === 'tls') return seen.bytes === bytes && (!ended || seen.ended)
  // A FIN counts as one byte.
  return tcpInfo(socket).bytesReceived >= bytes + (ended ? 1 : 0)
}

/** Runs one schedule, and calls `begins` with the name of each step. */
async function run(schedule, begins) {
  const { closer: role, mode, how, options, closing, peer: other } = schedule
  const { client, accepted, isConnected } = await open(schedule)
  const isClient = role === 'client'
  let closer = client
  let peer
  if (!schedule.early) await isConnected
  if (!isClient) [closer, peer] = [await accepted, client]
  else if (!schedule.early) peer = await accepted

  begins('write')
  const closed = new Promise((resolve) => closer.once('close', resolve))
  const toCloser = watch(closer)
  if (closing.reads) closer.resume()
  else closer.pause()
  if (closing.sendBuffer > 0 && !schedule.early) setOption(closer, 'SO_SNDBUF', closing.sendBuffer)

  const peerPlay = (async () => {
    peer ??= await accepted
    peer.pause()
    const seen = watch(peer)
    if (schedule.transport === 'tcp') takeUnread(peer, seen)
    // If the RST is lost, a peer that sends nothing would never notice it.
    if (mode === 'reset') tune(peer, { SO_KEEPALIVE: true, TCP_KEEPIDLE: 1, TCP_KEEPINTVL: 1 })
    if (other.readsFirst) peer.resume()
    const written = await play(peer, other.steps)
    if (other.ends === 'first') peer.end()
    return { seen, written }
  })()

  const written = await play(closer, closing.steps)
  if (closing.halfCloses) {
    closer.end()
    if (closing.halfClosedMs > 0) await pause(closing.halfClosedMs)
  }
  begins('wait for the data of the peer')
  const ended = other.ends === 'first'
  if (schedule.waitsForPeer) {
    const { written: bytes } = await peerPlay
    await until(() => hasAll(closer, toCloser, schedule, { bytes, ended }))
  } else if (ended) {
    await peerPlay
  }

  begins('close')
  let report
  if (other.ends === 'together') peerPlay.then(() => peer.end())
  if (how === 'closeSocket') {
    report = closeSocket(closer, { mode, ...options })
  } else {
    setCloseMode(closer, { mode, ...options, onEnd: how === 'end' ? 'close' : 'half-close' })
    closer[how]()
  }

  const { seen, written: peerWrote } = await peerPlay
  begins('read to the end')
  if (other.readsAfterMs > 0) await pause(other.readsAfterMs)
  peer.resume()
  await seen.isOver
  begins('wait for the close')
  if (!peer.destroyed) peer.end()
  await Promise.all([closed, report])
  const { bytes: received, isIntact, ended: sawEnd, error } = seen
  peer.destroy()
  const { error: ownError, ...told } = (await report) ?? {}
  return {
    written,
    peerWrote,
    received,
    isIntact,
    ended: sawEnd,
    ...(error === undefined ? {} : { error }),
    ...(report === undefined ? {} : { report: { ...told, error: ownError?.code } }),
  }
}

/**
 * Runs a schedule with a deadline. If it does not end, the outcome names the step. The deadline begins after the
 * handshake, because the kernel repeats lost packets of a handshake only after 1, 2, 4, 8, 16, ... s.
 */
function bounded(schedule) {
  return new Promise((resolve, reject) => {
    let step
    let deadline
    const begins = (next) => {
      step = next
      deadline ??= setTimeout(() => resolve({ hangs: true, step }), deadlineMs)
    }
    run(schedule, begins)
      .then(resolve, reject)
      .finally(() => clearTimeout(deadline))
  })
}

ready({}, { run: bounded })
