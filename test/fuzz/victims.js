'use strict'

const { native } = require('../../dist/kernel/binding')
const { kinds, listening } = require('./sentinels')

const { SOL_SOCKET, SO_LINGER } = native.constants
const SIZE = 16
/** Less than the backlog, so that each connection is established. */
const CONNECTIONS_PER_LISTENER = 50
const abortive = new Uint8Array(8)
new Int32Array(abortive.buffer)[0] = 1

/** A constant number of open sockets of all kinds, to which calls may do anything. */
class Pool {
  /** The number of victims that something else closed. */
  lost = 0
  #random
  #fds = []
  #listener = -1
  #left = 0

  constructor(random) {
    this.#random = random
    this.#fill()
  }

  any() {
    return this.#random.pick(this.#fds)
  }

  /** The port of a listener that accepts connections. */
  get port() {
    return native.localPort(this.#listener)
  }

  /** Takes over a descriptor that a call has opened. */
  add(fd) {
    if (fd < 0) return
    this.#fds.push(fd)
    if (this.#fds.length > SIZE) this.#close(this.#fds.shift())
  }

  /** Removes a socket that was closed or handed over. */
  drop(fd) {
    this.#fds = this.#fds.filter((other) => other !== fd)
    this.#fill()
  }

  /** Closes a socket and opens another one, which receives its number unless another thread takes it first. */
  renew() {
    const fd = this.any()
    this.#close(fd)
    this.drop(fd)
  }

  closeAll() {
    for (const fd of this.#fds) this.#close(fd)
    this.#fds = []
    native.closeFd(this.#listener)
  }

  #fill() {
    while (this.#fds.length < SIZE) {
      if (this.#left-- === 0 || this.#listener < 0) {
        if (this.#listener >= 0) native.closeFd(this.#listener)
        this.#listener = listening()
        this.#left = CONNECTIONS_PER_LISTENER
      }
      this.#fds.push(this.#random.pick(kinds)(this.#listener))
    }
  }

  /** Closes a socket at once and without TIME_WAIT, whatever its SO_LINGER. */
  #close(fd) {
    native.setBytes(fd, SOL_SOCKET, SO_LINGER, abortive)
    if (native.closeFd(fd) < 0) this.lost++
  }
}

module.exports = { Pool }
