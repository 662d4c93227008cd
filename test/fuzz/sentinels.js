'use strict'

/**
 * Sockets that are never passed to a call. Their state in the kernel is recorded at the start and must be the same at
 * the end.
 */
const { native } = require('../../dist/kernel/binding')

const { constants } = native
const { AF_INET, AF_INET6, AF_UNIX, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET, SO_TYPE, SO_LINGER } =
  constants

const levels = [
  ['SO_', SOL_SOCKET],
  ['TCP_', constants.IPPROTO_TCP],
  ['IP_', constants.IPPROTO_IP],
  ['IPV6_', constants.IPPROTO_IPV6],
]

/** Options that change on their own, or when they are read. */
const restless = new Set([
  'SO_ERROR',
  'SO_INCOMING_CPU',
  'SO_INCOMING_NAPI_ID',
  'SO_MEMINFO',
  'TCP_INFO',
  'TCP_SAVED_SYN',
  'TCP_TIMESTAMP',
  'TCP_ZEROCOPY_RECEIVE',
])

/** The level, number and name of every option of the catalogue. */
const options = Object.keys(constants).flatMap((name) => {
  const [, level] = levels.find(([prefix]) => name.startsWith(prefix)) ?? []
  return level === undefined || restless.has(name) ? [] : [[level, constants[name], name]]
})

function succeed(result) {
  if (result < 0) throw new Error(`a native call failed: ${result}`)
  return result
}

const open = (domain, type) => succeed(native.openSocket(domain, type, 0))

function bound() {
  const fd = open(AF_INET, SOCK_STREAM)
  succeed(native.bindFd(fd, '127.0.0.1', 0))
  return fd
}

function listening() {
  const fd = bound()
  succeed(native.listenFd(fd, 64))
  return fd
}

/** Returns one end of a connection; the other end stays in the accept queue of the listener. */
function connected(listener) {
  const fd = open(AF_INET, SOCK_STREAM)
  native.connectFd(fd, '127.0.0.1', native.localPort(listener))
  return fd
}

/** Creates one socket of each kind. */
const kinds = [
  () => open(AF_INET, SOCK_STREAM),
  () => open(AF_INET6, SOCK_STREAM),
  () => open(AF_INET, SOCK_DGRAM),
  () => open(AF_UNIX, SOCK_STREAM),
  bound,
  listening,
  connected,
]

const buffer = new Uint8Array(128)

/** Reads every option of a socket, by name. */
function snapshot(fd) {
  return options.map(([level, number, name]) => {
    const length = native.getBytes(fd, level, number, buffer)
    // The seconds of SO_LINGER have no meaning while it is off.
    if (number === SO_LINGER && level === SOL_SOCKET && buffer[0] === 0) buffer.fill(0, 4, 8)
    return `${name} ${length < 0 ? length : buffer.subarray(0, length).join()}`
  })
}

class Sentinels {
  #before

  constructor() {
    this.listener = listening()
    this.fds = [this.listener, ...kinds.map((make) => make(this.listener))]
    this.#before = this.#now()
  }

  /** Returns the changes since the start. */
  faults() {
    const now = this.#now()
    return now.flatMap((options, index) =>
      options
        .filter((option, at) => option !== this.#before[index][at])
        .map((option) => `sentinel ${this.fds[index]}: ${option}`),
    )
  }

  #now() {
    return this.fds.map((fd) => [...snapshot(fd), `port ${native.localPort(fd)}`])
  }
}

/** Returns the descriptors below `end` that are sockets. */
function openSockets(end = 4096) {
  let count = 0
  for (let fd = 3; fd < end; fd++) if (native.getInt(fd, SOL_SOCKET, SO_TYPE) >= 0) count++
  return count
}

module.exports = { Sentinels, connected, kinds, listening, openSockets, options, snapshot, succeed }
